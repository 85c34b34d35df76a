"""Doubles for tests, also for yours: a broker in memory, and an event loop with virtual time.

from hookbus.testing import MemoryBroker, MemoryTransport, run_virtual

async def scenario() -> bytes:
    broker = MemoryBroker()
    asking, answering = MemoryTransport(broker), MemoryTransport(broker)
    ...

def test_the_answer_comes() -> None:
    assert run_virtual(scenario()) == b"pong"
"""

from hookbus.testing.call import PluginFailed, call_plugin
from hookbus.testing.memory import MemoryBroker, MemoryTransport
from hookbus.testing.memory_keyvalue import MemoryKeyValue
from hookbus.testing.memory_message import MemoryMessage
from hookbus.testing.memory_streams import MemoryStreams
from hookbus.testing.virtual_time import Deadlock, VirtualTimeLoop, run_virtual

__all__ = [
    "Deadlock",
    "MemoryBroker",
    "MemoryKeyValue",
    "MemoryMessage",
    "MemoryStreams",
    "MemoryTransport",
    "PluginFailed",
    "VirtualTimeLoop",
    "call_plugin",
    "run_virtual",
]
