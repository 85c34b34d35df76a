"""A plugin of the SDK on the bus: configuration, announcing, leaving, the Service API."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from hookbus import Block, HookEvent, MessageReceived, Plugin, subjects
from hookbus.config.settings import Settings, parse_settings
from hookbus.plugin import PluginServer
from hookbus.registry.plugin_config import tell_config
from tests.flow.bus import Bus, calm_plugin
from tests.flow.scripted import Scripted

SLOW = 2_000  # milliseconds, where a test itself decides when a handler ends


async def test_the_configuration_comes_with_the_answer_to_the_announcement(bus: Bus) -> None:
    plugin = calm_plugin("a")
    await bus.start(plugins={"a": {"config": {"words": ["x"], "limit": 3}}})

    await bus.serve(plugin)

    assert plugin.config == {"words": ["x"], "limit": 3}


async def test_a_changed_configuration_reaches_every_replica_at_once(bus: Bus) -> None:
    replicas = [calm_plugin("a"), calm_plugin("a")]
    heard: list[dict[str, Any]] = []
    await bus.start(plugins={"a": {"config": {"limit": 3}}})
    for replica in replicas:
        replica.on_config(heard.append)
        await bus.serve(replica)

    await tell_config(bus.registry_transport, "a", _with_limit(4))
    await bus.until(lambda: len(heard) == 4)

    assert [replica.config for replica in replicas] == [{"limit": 4}, {"limit": 4}]


async def test_an_equal_or_malformed_configuration_changes_nothing(bus: Bus) -> None:
    plugin = calm_plugin("a")
    heard: list[dict[str, Any]] = []
    await bus.start(plugins={"a": {"config": {"limit": 3}}})
    await bus.serve(plugin)
    plugin.on_config(heard.append)

    for body in (
        b"garbage",
        b'{"v":1,"config":{"\xff":1}}',
        b'{"v":1}',
        b'{"v":1,"config":{"limit":3}}',
    ):
        await bus.transport.publish(subjects.config("a"), body)
    await tell_config(bus.transport, "a", _with_limit(5))
    await bus.until(lambda: bool(heard))

    assert heard == [{"limit": 5}]


async def test_a_plugin_serves_before_anybody_answers_its_announcement(bus: Bus) -> None:
    server = PluginServer(calm_plugin("a"), await bus.connect("a"))
    await server.start()
    unanswered = server.answered
    await bus.start()

    await server.announced()
    await bus.served()
    decision = await bus.emit()
    await server.stop()

    assert unanswered is None
    assert server.answered is not None
    assert server.answered.state == "bound"
    assert [r.plugin for r in decision.records] == ["a"]


async def test_a_plugin_announces_itself_again_after_a_reconnect(bus: Bus) -> None:
    await bus.start()
    server = await bus.serve(calm_plugin("a"), can_cut=True)
    answers: list[str] = []
    server.on_answer = lambda answer: answers.append(answer.state)

    bus.cut(bus.connection_of(server))
    await bus.until(lambda: not bus.connection_of(server).is_connected)
    bus.mend(bus.connection_of(server))
    await bus.until(lambda: bool(answers))
    decision = await bus.emit()

    assert answers == ["bound"]
    assert decision.outcome == "continue"


async def test_a_refused_plugin_hears_why(bus: Bus) -> None:
    await bus.start()
    await bus.serve(calm_plugin("a"))
    other = Plugin("a", version="1.0.0")

    @other.hook("message_received", phase="validate", priority=7)
    async def another_hook(event: HookEvent[Any]) -> None: ...

    server = await bus.serve(other)

    assert server.answered is not None
    assert server.answered.state == "refused"
    assert "raise the version" in server.answered.problems[0]["message"]


async def test_a_plugin_that_leaves_finishes_what_it_was_asked_and_is_asked_no_more(
    bus: Bus,
) -> None:
    release = asyncio.Event()
    begun: list[str] = []
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=SLOW)
    async def wait(event: HookEvent[MessageReceived]) -> Block:
        begun.append(event.id)
        await release.wait()
        return Block("finished")

    await bus.start()
    server = await bus.serve(plugin)
    running = bus.begin(bus.emit())
    await bus.until(lambda: len(begun) == 1)

    leaving = bus.begin(server.stop())
    await bus.until_unbound("a")
    after = await bus.emit()
    release.set()
    await leaving

    assert (await running).reason == "a: finished"
    assert after.outcome == "continue"
    assert len(begun) == 1


async def test_whoever_asks_before_the_goodbye_is_known_is_answered(bus: Bus) -> None:
    await bus.start()
    server = await bus.serve(calm_plugin("a"))
    emits = [bus.begin(bus.emit()) for _ in range(30)]

    await server.stop()

    assert [(await task).outcome for task in emits] == ["continue"] * 30


async def test_a_rolling_replacement_fails_no_event(bus: Bus) -> None:
    await bus.start()
    first = await bus.serve(calm_plugin("a"))
    outcomes: list[str] = []

    async def load() -> None:
        while True:
            outcomes.append((await bus.emit()).outcome)
            await asyncio.sleep(0.001)

    bus.begin(load())
    await bus.serve(calm_plugin("a"))
    await first.stop()
    reached = len(outcomes) + 20
    await bus.until(lambda: len(outcomes) >= reached)

    assert set(outcomes) == {"continue"}


async def test_a_plugin_without_a_registry_leaves_all_the_same(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = PluginServer(calm_plugin("a"), await bus.connect("a"))
    await server.start()

    _, seconds = await bus.timed(server.stop())

    assert seconds < 2.5
    assert "goodbye_not_answered plugin=a" in caplog.text


async def test_a_plugin_answers_the_service_api_in_its_own_shape(bus: Bus) -> None:
    await bus.start()
    server = await bus.serve(calm_plugin("a"))
    await bus.emit()

    [ping] = await bus.ask("PING", "a")
    [info] = await bus.ask("INFO", "a")
    [stats] = await bus.ask("STATS", f"a.{server.instance}")

    common = {"name": "a", "id": server.instance, "version": "1.0.0"}
    for answer, type_ in ((ping, "ping"), (info, "info"), (stats, "stats")):
        assert common.items() <= answer.items()
        assert answer["type"] == f"io.nats.micro.v1.{type_}_response"
        assert isinstance(answer["metadata"], dict)
    assert isinstance(info["description"], str)
    [endpoint] = info["endpoints"]
    assert (endpoint["name"], endpoint["subject"]) == ("hook", "hookbus.call.a.hook")
    assert (endpoint["queue_group"], endpoint["metadata"]) == ("a", {})
    [endpoint] = stats["endpoints"]
    assert (endpoint["num_requests"], endpoint["num_errors"]) == (1, 0)
    assert endpoint["last_error"] == ""
    assert {"processing_time", "average_processing_time", "data"} <= endpoint.keys()
    assert stats["started"].endswith("Z")


async def test_everybody_answers_a_ping_to_all(bus: Bus) -> None:
    await bus.start(Scripted("silent"))
    await bus.serve(calm_plugin("a"))

    answers = await bus.ask("PING", expected=2)

    assert {answer["name"] for answer in answers} == {"a", "hookbus-dispatcher"}


async def test_the_service_api_answers_only_to_inboxes(bus: Bus) -> None:
    heard: list[bytes] = []
    await bus.start()
    await bus.serve(calm_plugin("a"))
    await bus.transport.subscribe("hookbus.ctl.>", lambda m: heard.append(m.data))
    await bus.transport.flush()

    await bus.transport.publish("$SRV.PING.a", b"", reply="hookbus.ctl.a.remove")
    await bus.ask("PING", "a")

    assert heard == []


def _with_limit(limit: int) -> Settings:
    return parse_settings({"plugins": {"a": {"config": {"limit": limit}}}}, "the test's settings")
