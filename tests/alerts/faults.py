"""A bus on which everything goes wrong that an alert is about."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import nats
from nats.aio.msg import Msg

from hookbus import subjects
from hookbus.broker import EmbeddedBroker
from hookbus.emitter import Emitter
from hookbus.transport import NatsTransport
from tests.integration.commands import Process, control, eventually, running, wait_served
from tests.integration.test_server_roles import health_url, is_ready, serve

IN_FLIGHT: Final = 8
MORE: Final = 4  # events than that
NOBODY: Final = "nats://127.0.0.1:1"
OUTBOX: Final = 10_000  # records that a dispatcher keeps while a stream takes none

SETTINGS: Final = f"""
mode = "production"
max_in_flight = {IN_FLIGHT}
audit = "AUDIT"
[observers]
max_deliver = 1
[streams.OBSERVE]
max_bytes = 65536
[plugins.gone.hooks.look]
type = "tool_invoked"
phase = "validate"
[plugins.gone-open.hooks.look]
type = "response_generated"
phase = "validate"
on_failure = "open"
[plugins.slow.hooks.look]
type = "message_received"
phase = "validate"
timeout_ms = 20000
[plugins.slow.hooks.diary]
type = "message_received"
phase = "observe"
[plugins.away.hooks.diary]
type = "message_received"
phase = "observe"
"""

#: It answers when the file is there that its event names; as an observer it can handle nothing.
SLOW: Final = """
import asyncio
from pathlib import Path
from hookbus import PermanentError, Plugin

plugin = Plugin("slow", version="1.0.0")

@plugin.hook("message_received", phase="validate", name="look", timeout_ms=20_000)
async def look(event):
    while not Path(event.data["text"]).exists():
        await asyncio.sleep(0.05)

@plugin.hook("message_received", phase="observe", name="diary")
async def diary(event):
    raise PermanentError("never")

plugin.run()
"""


class FaultyBus:
    """A broker, a registry, a dispatcher, and what can be done to them."""

    def __init__(self, folder: Path, url: str, roles: list[Process]) -> None:
        self.folder = folder
        self.url = url
        self._roles = roles

    @property
    def targets(self) -> list[str]:
        """Where the roles serve their metrics."""
        return [health_url(role).removeprefix("http://") for role in self._roles]

    def write(self, audit: str) -> None:
        (self.folder / "hookbus.toml").write_text(SETTINGS.replace("AUDIT", audit))

    def require_audit(self) -> None:
        """Change the settings file and wait until it is in force."""
        before = control(self.url, "list")["generation"]
        self.write("required")
        eventually(lambda: control(self.url, "list")["generation"] > before)
        wait_served(self.url)

    def emit(self, type: str, data: Any, *, times: int = 1, at_once: int = 1) -> list[str]:
        """Emit the same again and again; return the outcomes with their codes."""

        async def emit_all() -> list[str]:
            async with Emitter.connect(self.url, source="/test", timeout=25.0) as emitter:
                room = asyncio.Semaphore(at_once)

                async def one() -> str:
                    async with room:
                        made = await emitter.emit(type, data)
                        return f"{made.outcome} {made.code}"

                return await asyncio.gather(*(one() for _ in range(times)))

        return asyncio.run(emit_all())

    def ask_for_garbage(self) -> list[str]:
        """Let somebody answer for `gone` who speaks no protocol, and ask it ten times."""

        async def ask() -> list[str]:
            client = await nats.connect(self.url)

            async def on_call(message: Msg) -> None:
                await message.respond(b"garbage")

            await client.subscribe("hookbus.call.gone.look", queue="gone", cb=on_call)
            await client.flush()
            async with Emitter.connect(self.url, source="/test", timeout=5.0) as emitter:
                tool = {"name": "x", "args": {}}
                made = [await emitter.emit("tool_invoked", tool) for _ in range(10)]
            await client.close()
            return [f"{decision.outcome} {decision.code}" for decision in made]

        return asyncio.run(ask())

    def seal_the_decisions(self) -> None:
        """Let their stream refuse whatever comes."""

        async def seal() -> None:
            client = await nats.connect(self.url)
            stream = client.jetstream()
            found = (await stream.stream_info(subjects.DECISIONS_STREAM)).config
            found.sealed, found.deny_delete, found.deny_purge = True, True, True
            found.allow_rollup_hdrs = False
            await stream.update_stream(found)
            await client.close()

        asyncio.run(seal())

    def answer_as_another(self) -> None:
        """Answer a call of `slow` in another's name, as anybody can without authentication."""

        async def spoof() -> None:
            client = await nats.connect(self.url)

            async def on_call(message: Msg) -> None:
                call = json.loads(message.data)
                verdict = {"v": 1, "call": call["call"], "attempt": 1, "plugin": "slow"}
                subject = message.reply.removesuffix("slow") + "mallory"
                await client.publish(
                    subject, json.dumps({**verdict, "verdict": "continue"}).encode()
                )
                await client.flush()

            await client.subscribe("hookbus.call.slow.look", cb=on_call)
            await client.flush()
            transport = await NatsTransport.connect(self.url, principal="test")
            await Emitter(transport, source="/test", timeout=5.0).emit(
                "message_received", {"text": str(self.folder)}
            )
            await transport.close()
            await client.close()

        asyncio.run(spoof())

    def stop_the_roles(self) -> None:
        for role in self._roles:
            role.stop()


@contextmanager
def faulty_bus(folder: Path, *, others: bool = False) -> Iterator[FaultyBus]:
    """Run one; with *others* there is a dispatcher without a broker, and another bus beside it."""
    with ExitStack() as stack:

        def role(name: str, url: str, *words: str) -> Process:
            command = [*serve(name), *words]
            return stack.enter_context(running(command, folder, HOOKBUS_NATS_URL=url))

        url = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats")).url
        bus = FaultyBus(folder, url, roles := [])
        bus.write("best_effort")
        roles.append(role("registry", url, "--settings", str(folder / "hookbus.toml")))
        roles.append(role("dispatcher", url))
        if others:
            second = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "second"))
            roles.append(role("registry", second.url, "--default-mode", "development"))
            roles.append(role("dispatcher", NOBODY))
        eventually(lambda: all(map(is_ready, roles[:2])))
        yield bus


@contextmanager
def slow_plugin(bus: FaultyBus) -> Iterator[None]:
    """Run the plugin, and wait until it is asked."""
    script = bus.folder / "slow.py"
    script.write_text(SLOW)
    command = [sys.executable, str(script)]
    with running(command, bus.folder, HOOKBUS_NATS_URL=bus.url):

        def is_up() -> bool:
            plugins = control(bus.url, "list")["plugins"]
            return any(p["plugin"] == "slow" and p["replicas"] for p in plugins)

        eventually(is_up)
        wait_served(bus.url)
        yield
