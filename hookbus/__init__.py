"""hookbus: an event-driven hook bus over NATS.

Services emit events (:class:`Emitter`), plugins answer each with Continue, Intercept or Block
(:class:`Plugin`), and a dispatcher makes one decision of it.
"""

from hookbus.emitter import Emitter
from hookbus.errors import (
    ConnectFailed,
    HookBlocked,
    HookbusError,
    InvalidEvent,
    InvalidManifest,
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
