"""NATS does not check reply subjects: what the broker and the bus can be made to write, and where.

Whoever may ask the JetStream API anything names where the answer goes, or where a consumer
delivers; so does a plugin that acknowledges. Nothing that this makes them write may be believed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from nats.aio.msg import Msg

from hookbus import SyncEmitter
from hookbus.config.connection import Connection, nats_options
from hookbus.errors import ControlError
from hookbus.models import Decision
from hookbus.operations import request
from hookbus.transport import NatsTransport
from tests.integration.commands import eventually, up
from tests.integration.guarded import Plain, plain
from tests.integration.test_secure_up import SecureBus

pytestmark = pytest.mark.usefixtures("nats_server_program")

PLUGIN = """
import json
from pathlib import Path
from hookbus import Block, HookEvent, Plugin

plugin = Plugin("guard", version="1.0.0")

@plugin.hook("message_received", phase="validate")
async def judge(event: HookEvent):
    return Block(json.dumps(plugin.config))

@plugin.hook("message_received", phase="observe", name="watch")
async def watch(event: HookEvent):
    with Path({seen!r}).open("a") as file:
        file.write(event.id + "\\n")

plugin.run()
"""
SETTINGS = '[plugins.guard.config]\nword = "secret"\n'


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBus]:
    folder = tmp_path_factory.mktemp("deputies")
    script, settings = folder / "guard.py", folder / "settings.toml"
    script.write_text(PLUGIN.format(seen=str(folder / "seen")))
    settings.write_text(SETTINGS)
    words = ("--plugins", str(script), "--settings", str(settings))
    with up(folder, "--secure", "--no-bundled", *words) as started:
        started.__class__ = SecureBus
        assert isinstance(started, SecureBus)
        started.create("emitter", "chat")
        started.create("viewer", "eve")
        started.create("plugin", "mallory")
        ask(started)
        yield started


def ask(bus: SecureBus) -> Decision:
    with SyncEmitter.connect(bus.url, source="/x", creds=bus.creds("chat"), timeout=5) as chat:
        return chat.emit("message_received", {"text": "hi"})


def operate(bus: SecureBus, operation: str, **members: Any) -> dict[str, Any]:
    async def operated() -> dict[str, Any]:
        options = nats_options(Connection(creds=bus.creds("operator")))
        transport = await NatsTransport.connect(bus.url, principal="operator", options=options)
        try:
            return await request(transport, "operator", operation, **members)
        finally:
            await transport.close()

    return asyncio.run(operated())


def as_eve(bus: SecureBus, trespass: Any) -> Any:
    async def tried() -> Any:
        async with plain(bus.url, bus.creds("eve")) as eve:
            result = await trespass(eve)
            await eve.settle()
            assert eve.errors == [], "it is not this that keeps her out"
            return result

    return asyncio.run(tried())


async def deliver(eve: Plain, subject: str, group: str = "") -> dict[str, Any]:
    """Have every decision delivered to *subject*; return what the API says."""
    name = f"eve-{abs(hash(subject))}"
    config = {
        "name": name,
        "deliver_subject": subject,
        "deliver_group": group,
        "deliver_policy": "all",
        "ack_policy": "explicit" if group else "none",
        "filter_subject": "hookbus.decision.>",
        "mem_storage": True,
    }
    answer = await eve.client.request(
        f"$JS.API.CONSUMER.CREATE.HOOKBUS_DECISIONS.{name}.hookbus.decision.>",
        json.dumps({"stream_name": "HOOKBUS_DECISIONS", "config": config}).encode(),
        timeout=30,
    )
    made: dict[str, Any] = json.loads(answer.data)
    return made


def guards_log(bus: SecureBus) -> str:
    return (bus.data_dir / "logs" / "guard.log").read_text()


def test_decisions_delivered_as_a_plugins_settings_change_none(bus: SecureBus) -> None:
    as_eve(bus, lambda eve: deliver(eve, "hookbus.config.guard"))
    ask(bus)

    eventually(lambda: "malformed_config" in guards_log(bus))
    assert ask(bus).reason == 'guard: {"word": "secret"}'


def test_decisions_delivered_as_observed_events_reach_no_handler(bus: SecureBus) -> None:
    created = as_eve(bus, lambda eve: deliver(eve, "hookbus.call.guard.watch", "guard"))
    assert "error" not in created
    last = ask(bus)
    seen = bus.data_dir.parent / "seen"

    eventually(lambda: last.event.id in seen.read_text(), FileNotFoundError)
    assert len(set(seen.read_text().split())) == len(seen.read_text().split())
    assert last.id not in seen.read_text()


def test_decisions_delivered_as_a_call_are_not_answered(bus: SecureBus) -> None:
    async def listen(eve: Plain) -> list[Msg]:
        heard: list[Msg] = []

        async def on_message(message: Msg) -> None:
            heard.append(message)

        await eve.client.subscribe("_INBOX.eve.mine", cb=on_message)
        await deliver(eve, "hookbus.call.guard.message-received", "guard")
        return heard

    assert as_eve(bus, listen) == []
    assert ask(bus).cause == "verdict"


@pytest.mark.parametrize(
    "subject",
    ["hookbus.ctl.operator.remove", "hookbus.announce.guard", "hookbus.emit.shop.message_received"],
)
def test_what_the_broker_writes_is_no_request(bus: SecureBus, subject: str) -> None:
    before = operate(bus, "list")

    async def write(eve: Plain) -> None:
        await eve.client.publish("$JS.API.STREAM.INFO.HOOKBUS_DECISIONS", b"", reply=subject)
        await deliver(eve, subject)

    as_eve(bus, write)

    assert operate(bus, "list")["plugins"] == before["plugins"]


@pytest.mark.parametrize("stream", ["hookbus.decision.block.x"])
def test_decisions_are_not_delivered_as_decisions(bus: SecureBus, stream: str) -> None:
    created = as_eve(bus, lambda eve: deliver(eve, stream))

    assert created["error"]["err_code"] == 10081  # "deliver subject forms a cycle"


@pytest.mark.parametrize(
    "subject",
    ["hookbus.observe.x", "$KV.hookbus_config.current", "$JS.API.STREAM.DELETE.HOOKBUS_DECISIONS"],
)
def test_a_consumer_delivers_to_no_stream_and_asks_for_nothing(
    bus: SecureBus, subject: str
) -> None:
    """A deliver subject needs a subscriber of exactly that name, and a stream listens wider."""
    before = operate(bus, "list")["generation"]
    as_eve(bus, lambda eve: deliver(eve, subject))

    ask(bus)

    assert operate(bus, "list")["generation"] == before
    info = as_eve(
        bus, lambda eve: eve.client.request("$JS.API.STREAM.INFO.HOOKBUS_DECISIONS", timeout=30)
    )
    assert json.loads(info.data)["state"]["messages"] > 0


def test_an_answer_written_over_the_configuration_is_mended_and_nobody_notices(
    bus: SecureBus,
) -> None:
    """This is the one thing that a viewer can do to the bus: make it write a generation anew."""
    before = operate(bus, "list")["generation"]

    async def overwrite(eve: Plain) -> None:
        await eve.client.publish(
            "$JS.API.STREAM.INFO.HOOKBUS_DECISIONS", b"", reply="$KV.hookbus_config.current"
        )

    as_eve(bus, overwrite)

    assert ask(bus).reason == 'guard: {"word": "secret"}'
    mended = eventually(lambda: served(bus, before + 2), ControlError)
    assert mended["generation"] == before + 2
    assert ask(bus).generation == before + 2


def served(bus: SecureBus, generation: int) -> dict[str, Any]:
    return operate(bus, "wait_generation", generation=generation, timeout_ms=500)


def test_an_acknowledgement_written_over_the_configuration_is_mended(bus: SecureBus) -> None:
    """A plugin that observes can do the same, with an empty message."""
    before = operate(bus, "list")["generation"]

    async def scenario() -> None:
        async with plain(bus.url, bus.creds("guard")) as guard:
            done = asyncio.Event()

            async def on_observed(message: Msg) -> None:
                if message.reply.startswith("$JS.ACK.HOOKBUS_OBSERVE."):
                    await guard.client.publish(
                        message.reply, b"+ACK", reply="$KV.hookbus_config.current"
                    )
                    done.set()

            await guard.client.subscribe("hookbus.call.guard.watch", "guard", on_observed)
            await guard.settle()
            while not done.is_set():  # the real one takes its share
                await asyncio.to_thread(ask, bus)
            await guard.settle()
            assert guard.errors == []

    asyncio.run(scenario())

    eventually(lambda: served(bus, before + 2), ControlError)
    assert ask(bus).cause == "verdict"


def test_overrides_that_were_written_over_are_kept(bus: SecureBus) -> None:
    operate(bus, "mode", plugin="guard", mode="warn")

    async def overwrite(eve: Plain) -> None:
        await eve.client.publish(
            "$JS.API.STREAM.INFO.HOOKBUS_DECISIONS", b"", reply="$KV.hookbus_state.overrides"
        )

    as_eve(bus, overwrite)

    [guard] = [p for p in operate(bus, "list")["plugins"] if p["plugin"] == "guard"]
    assert {hook["mode"] for hook in guard["hooks"] if hook["phase"] != "observe"} == {"warn"}
    operate(bus, "mode", plugin="guard", mode=None)


@pytest.mark.parametrize(
    "reply", ["hookbus.call.guard.message-received", "hookbus.ctl.operator.remove", "$SRV.PING"]
)
def test_an_emitter_cannot_make_the_bus_speak_for_it(bus: SecureBus, reply: str) -> None:
    before = [p["state"] for p in operate(bus, "list")["plugins"]]

    async def scenario() -> None:
        async with plain(bus.url, bus.creds("chat")) as chat:
            for subject in ("hookbus.emit.chat.message_received", "hookbus.notify.chat.x"):
                await chat.client.publish(subject, b"{}", reply=reply)
            await chat.settle()

    asyncio.run(scenario())

    assert [p["state"] for p in operate(bus, "list")["plugins"]] == before


def test_a_plugin_that_answers_for_another_is_not_heard(bus: SecureBus) -> None:
    """It may neither hear the other's calls nor write on their reply subjects."""

    async def scenario() -> tuple[bool, bool, bool]:
        async with plain(bus.url, bus.creds("mallory")) as mallory:
            return (
                await mallory.may_subscribe("hookbus.call.guard.message-received mallory"),
                await mallory.may_subscribe("hookbus.call.guard.message-received guard"),
                await mallory.may_publish("hookbus.reply.d.c.guard"),
            )

    assert asyncio.run(scenario()) == (False, False, False)
