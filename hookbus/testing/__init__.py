"""For tests, also for yours: a whole bus in one process, assertions, and virtual time.

With pytest the fixture ``hookbus`` is there as soon as hookbus is installed (``[testing]``):

    from hookbus.testing import assert_blocks

    def test_shouting_is_blocked(hookbus):
        hookbus.plug(plugin)

        decision = hookbus.emit("message_received", {"text": "HELLO"})

        assert_blocks(decision, by="no-shouting")

Without pytest, ``with SyncBus() as bus:`` gives the same.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hookbus.testing.asserts import assert_blocks, assert_continues, assert_intercepts
    from hookbus.testing.call import PluginFailed, call_plugin
    from hookbus.testing.memory import MemoryBroker as MemoryBroker
    from hookbus.testing.memory import MemoryTransport as MemoryTransport
    from hookbus.testing.memory_keyvalue import MemoryKeyValue as MemoryKeyValue
    from hookbus.testing.memory_message import MemoryMessage as MemoryMessage
    from hookbus.testing.memory_streams import MemoryStreams as MemoryStreams
    from hookbus.testing.script import Answers
    from hookbus.testing.sync_bus import SyncBus
    from hookbus.testing.virtual_time import Deadlock, VirtualTimeLoop, run_virtual

__all__ = [
    "Answers",
    "Deadlock",
    "PluginFailed",
    "SyncBus",
    "VirtualTimeLoop",
    "assert_blocks",
    "assert_continues",
    "assert_intercepts",
    "call_plugin",
    "run_virtual",
]

#: Where the names are defined; those of the doubles (Memory…) are for hookbus's own tests.
_HOMES: Final = {
    "Answers": "script",
    "Deadlock": "virtual_time",
    "MemoryBroker": "memory",
    "MemoryKeyValue": "memory_keyvalue",
    "MemoryMessage": "memory_message",
    "MemoryStreams": "memory_streams",
    "MemoryTransport": "memory",
    "PluginFailed": "call",
    "SyncBus": "sync_bus",
    "VirtualTimeLoop": "virtual_time",
    "assert_blocks": "asserts",
    "assert_continues": "asserts",
    "assert_intercepts": "asserts",
    "call_plugin": "call",
    "run_virtual": "virtual_time",
}


def _load(name: str) -> Any:
    """Import a public name when it is first asked for.

    pytest imports this package in every run where hookbus is installed, and the whole bus needs
    what only some of its users have installed.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # a type checker goes on refusing names that are not there
    __getattr__ = _load
