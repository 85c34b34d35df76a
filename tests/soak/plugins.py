"""python -m tests.soak.plugins SEED OBSERVED NAME...: plugins that do what behaviour.py says.

One process may be several plugins, each with a connection of its own. The ids of observed events
are appended to the file OBSERVED.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from hookbus import Block, Continue, HookEvent, Intercept, Plugin, Verdict
from hookbus.config.connection import connection_from
from hookbus.loop import run
from hookbus.message import Message
from hookbus.plugin import PluginServer
from hookbus.plugin.declare import Hook
from hookbus.transport import NatsTransport
from hookbus.wire.call import decode_call
from tests.model.hookbus_side import answer_of, reply_of
from tests.model.values import Says
from tests.soak.behaviour import PLUGINS, TYPE, VERSION, act, question

FOREVER = 60.0  # seconds, longer than any call


class PlannedError(Exception):
    """What a handler raises when it is to fail."""


def make_plugin(name: str, seed: int, observed: Path) -> Plugin:
    """Make one plugin; by hand or not, it announces the same hooks."""
    plugin = Plugin(name, version=VERSION)
    for hook, phase in PLUGINS[name][1].items():
        handler = _observing(observed) if phase == "observe" else _handling(name, hook, seed)
        plugin.hook(TYPE, phase=phase, name=hook)(handler)  # type: ignore[arg-type]
    return plugin


def _observing(observed: Path) -> Any:
    async def on_observed(event: HookEvent[Any]) -> None:
        with observed.open("a") as file:
            file.write(f"{event.id}\n")

    return on_observed


def _handling(name: str, hook: str, seed: int) -> Any:
    async def on_event(event: HookEvent[Any]) -> Verdict | None:
        step = act(seed, question(name, hook, event.id, event.data)).step
        if step.after:
            await asyncio.sleep(step.after / 1e6)
        if isinstance(step.answer, Says):
            return _verdict(step.answer)
        if step.answer.how == "service_error":
            raise PlannedError
        await asyncio.sleep(FOREVER)
        return None

    return on_event


def _verdict(says: Says) -> Verdict:
    more: dict[str, Any] = {"warnings": says.warnings, "annotations": says.annotations}
    if says.verdict == "block":
        return Block(says.reason, says.code, says.message, **more)
    if says.change is not None:
        return Intercept(**{says.change[0]: says.change[1]}, **more)
    return Continue(**more)


class ByHand(PluginServer):
    """Announced and found as any plugin, but its answers are written by hand, right or wrong."""

    def __init__(self, plugin: Plugin, transport: NatsTransport, seed: int) -> None:
        super().__init__(plugin, transport)
        self._name, self._seed, self._bus = plugin.name, seed, transport

    async def _on_call(self, hook: Hook, message: Message, arrived: float) -> None:
        call = msgspec.to_builtins(decode_call(message.data))
        event, number = call["event"], (call["round"], call["attempt"])
        asked = question(self._name, hook.options.name, event["id"], event["data"], *number)
        done, me = act(self._seed, asked), (self._name, VERSION)
        step, waited = done.step, 0
        if step.extend is not None:
            await asyncio.sleep(step.extend[0] / 1e6)
            waited = step.extend[0]
            extend = reply_of(call, *me, verdict="extend", extend_ms=step.extend[1])
            await self._bus.publish(message.reply, extend)
        if step.after > waited:
            await asyncio.sleep((step.after - waited) / 1e6)
        body = answer_of(call, *me, step.answer)
        if body is not None:
            await self._bus.publish(message.reply, body)
            if done.twice:
                await self._bus.publish(message.reply, reply_of(call, *me, verdict="block"))


async def serve(seed: int, observed: Path, names: list[str]) -> None:
    """Serve until SIGTERM, then leave in order."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    servers = []
    for name in names:
        transport = await NatsTransport.connect(connection_from().nats_url, principal=name)
        plugin = make_plugin(name, seed, observed)
        by_hand = PLUGINS[name][0]
        server = ByHand(plugin, transport, seed) if by_hand else PluginServer(plugin, transport)
        await server.start()
        servers.append((server, transport))
    await stop.wait()
    await asyncio.gather(*(server.stop() for server, _ in servers))
    for _, transport in servers:
        await transport.close()


if __name__ == "__main__":
    run(serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
