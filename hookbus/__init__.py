"""hookbus: an event-driven hook bus over NATS.

Services emit events (:class:`Emitter`), plugins answer each with Continue, Intercept or Block
(:class:`Plugin`), and a dispatcher makes one decision of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hookbus.emitter import Emitter
    from hookbus.errors import (
        ConnectFailed,
        HookBlocked,
        HookbusError,
        InvalidEvent,
        InvalidManifest,
        PermanentError,
        TransportError,
        Unavailable,
    )
    from hookbus.models import (
        Block,
        Continue,
        Decision,
        HookEvent,
        Intercept,
        MessageReceived,
        Payload,
        PluginRecord,
        ResponseGenerated,
        ToolInvoked,
        Verdict,
    )
    from hookbus.plugin import Plugin
    from hookbus.sync_emitter import SyncEmitter
    from hookbus.wire.verdict_bytes import verdict_bytes

__version__ = "0.1.0"

__all__ = [
    "Block",
    "ConnectFailed",
    "Continue",
    "Decision",
    "Emitter",
    "HookBlocked",
    "HookEvent",
    "HookbusError",
    "Intercept",
    "InvalidEvent",
    "InvalidManifest",
    "MessageReceived",
    "Payload",
    "PermanentError",
    "Plugin",
    "PluginRecord",
    "ResponseGenerated",
    "SyncEmitter",
    "ToolInvoked",
    "TransportError",
    "Unavailable",
    "Verdict",
    "verdict_bytes",
]

#: Where the public names are defined; what is not here is in ``hookbus.models``.
_HOMES: Final = {
    "Emitter": "hookbus.emitter",
    "Plugin": "hookbus.plugin",
    "SyncEmitter": "hookbus.sync_emitter",
    "verdict_bytes": "hookbus.wire.verdict_bytes",
    **dict.fromkeys(
        (
            "ConnectFailed",
            "HookBlocked",
            "HookbusError",
            "InvalidEvent",
            "InvalidManifest",
            "PermanentError",
            "TransportError",
            "Unavailable",
        ),
        "hookbus.errors",
    ),
}


def _load(name: str) -> Any:
    """Import a public name when it is first asked for.

    The command line starts with this module: all that an emitter needs takes half a second on a
    small machine, in which ctrl-C would end in a traceback.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "hookbus.models")), name)
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # a type checker goes on refusing names that are not there
    __getattr__ = _load
