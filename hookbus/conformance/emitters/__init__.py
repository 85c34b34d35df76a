"""Black-box checks of an emitter's program in any language, over the protocol only."""
