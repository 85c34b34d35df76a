"""The record of every decision, read: the stream HOOKBUS_DECISIONS, and what is decided now."""
