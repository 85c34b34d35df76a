"""Two dispatchers and two registries: any one of them is stopped or killed under load.

All eight faults, several times, with their figures: python -m tests.chaos.
"""

from __future__ import annotations

import asyncio
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.emitter import Emitter
from hookbus.errors import Unavailable
from hookbus.models import HookEvent, Verdict
from hookbus.operations import request
from hookbus.plugin import Plugin, PluginServer
from hookbus.transport import NatsTransport
from tests.chaos.answers import HOOK, PLUGINS, SETTINGS, TYPE, data_of, found, wanted
from tests.chaos.cluster import ROLES, Cluster, retried, until
from tests.chaos.faults import strike
from tests.chaos.load import numbers
from tests.integration.test_server_roles import health_url

LATE = [f"late-{number}" for number in range(8)]


@pytest.fixture(scope="module")
def cluster(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
        yield Cluster(stack, folder, broker.url)


@pytest.fixture
def changing(cluster: Cluster) -> Iterator[Cluster]:
    """The same cluster for a test that changes its settings, which are then as before."""

    async def reset() -> None:
        async with AsyncExitStack() as stack:
            await apply(await connected(stack, cluster, "ops"), [])

    yield cluster
    asyncio.run(reset())


def test_all_four_replaced_one_at_a_time_under_load_lose_nothing(cluster: Cluster) -> None:
    figures = strike(cluster, "stop", *ROLES)

    assert figures.problems == ()
    assert (figures.in_flight, figures.wrong, figures.lost) == (64, 0, 0)


def test_a_killed_replica_loses_only_what_it_held(cluster: Cluster) -> None:
    figures = strike(cluster, "kill", "dispatcher-1", "registry-2")

    assert figures.problems == ()
    assert (figures.in_flight, figures.wrong) == (64, 0)
    assert 0 < figures.held < 64  # it was the kill of one who had much to do, and not all of it


def test_a_dispatcher_that_hangs_costs_its_share_of_the_events_until_it_goes_on(
    cluster: Cluster,
) -> None:
    async def outcomes(count: int) -> list[str]:
        async with Emitter.connect(cluster.url, source="/hang", timeout=1.0) as bus:
            return list(await asyncio.gather(*(_outcome(bus) for _ in range(count))))

    hanging = cluster.roles["dispatcher-2"]
    hanging.send(signal.SIGSTOP)
    try:
        meanwhile = Counter(asyncio.run(outcomes(32)))
        is_alive = answers_within(1.0, f"{health_url(hanging)}/healthz")
    finally:
        hanging.send(signal.SIGCONT)
    after = Counter(asyncio.run(outcomes(32)))

    assert meanwhile.keys() == {"decided", "timeout"}
    assert not is_alive  # which is how a liveness probe finds it
    assert after == {"decided": 32}


async def _outcome(bus: Emitter) -> str:
    number = next(numbers)
    try:
        decision = await bus.emit(TYPE, data_of(number), id=str(number))
    except Unavailable as e:
        return e.code
    return "decided" if found(decision) == wanted(number) else f"wrong: {decision}"


def answers_within(seconds: float, url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=seconds):
            return True
    except TimeoutError:
        return False


def test_without_one_registry_plugins_are_bound_and_settings_changed(changing: Cluster) -> None:
    async def scenario() -> tuple[list[str], Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            operator = await connected(stack, changing, "ops")
            await apply(operator, LATE[:1])
            server = await late(stack, changing, LATE[0])
            answer = await server.announced()
            assert answer is not None
            await request(operator, "ops", "mode", plugin=LATE[0], mode="shadow")
            made = await apply(operator, LATE[:1], timeout_ms=1_234)
            await request(operator, "ops", "wait_generation", generation=made["generation"])
            changing.start("registry-1")
            await until(lambda: changing.there(operator, "registry", 2))
            return [answer.state], await listed(operator)

    assert changing.end("registry-1", signal.SIGTERM) == 0

    states, plugins = asyncio.run(scenario())

    assert states == ["bound"]
    assert plugins[LATE[0]]["version"] == "1.0.0"
    assert [hook["mode"] for hook in plugins[LATE[0]]["hooks"]] == ["shadow"]


def test_plugins_that_start_while_a_registry_is_killed_are_bound(changing: Cluster) -> None:
    async def scenario() -> tuple[list[str], Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            operator = await connected(stack, changing, "ops")
            await apply(operator, LATE)
            servers = [await late(stack, changing, name) for name in LATE[:4]]
            changing.roles["registry-2"].send(signal.SIGKILL)
            servers += [await late(stack, changing, name) for name in LATE[4:]]
            answers = [await server.announced() for server in servers]
            changing.roles["registry-2"].wait()
            changing.start("registry-2")
            await until(lambda: changing.there(operator, "registry", 2))
            return [a.state for a in answers if a], await listed(operator)

    states, plugins = asyncio.run(scenario())

    assert states == ["bound"] * len(LATE)
    assert {name: plugins[name]["version"] for name in LATE} == dict.fromkeys(LATE, "1.0.0")


def test_changes_that_two_registries_make_at_once_are_both_kept(changing: Cluster) -> None:
    names = [f"racer-{number}" for number in range(24)]

    async def scenario() -> Mapping[str, Any]:
        async with AsyncExitStack() as stack:
            operator = await connected(stack, changing, "ops")
            await apply(operator, names)
            servers = []
            for name, other in zip(names, reversed(names), strict=True):
                transport = await connected(stack, changing, name)
                servers.append(server := PluginServer(plugin(name), transport))
                _, _ = await asyncio.gather(
                    server.start(), request(operator, "ops", "mode", plugin=other, mode="warn")
                )
            for server in servers:
                await server.announced()
            return await listed(operator)

    plugins = asyncio.run(scenario())

    assert {n: plugins[n]["version"] for n in names} == dict.fromkeys(names, "1.0.0")
    modes = {n: [hook["mode"] for hook in plugins[n]["hooks"]] for n in names}
    assert modes == {n: ["warn"] for n in names}


def plugin(name: str) -> Plugin:
    made = Plugin(name, version="1.0.0")

    @made.hook(TYPE, phase="validate")
    async def look(event: HookEvent[Any]) -> Verdict | None:
        return None

    return made


async def late(stack: AsyncExitStack, cluster: Cluster, name: str) -> PluginServer:
    """Start a plugin; it announces itself in the background."""
    server = PluginServer(plugin(name), await connected(stack, cluster, name))
    await server.start()
    return server


async def connected(stack: AsyncExitStack, cluster: Cluster, principal: str) -> NatsTransport:
    transport = await NatsTransport.connect(cluster.url, principal=principal)
    stack.push_async_callback(transport.close)
    return transport


async def apply(operator: NatsTransport, names: list[str], **settings: Any) -> dict[str, Any]:
    """Name further plugins in the settings: validate hooks that fail open, to disturb nobody."""
    hook = {"type": TYPE, "phase": "validate", "on_failure": "open"}
    named = {name: {"hooks": {HOOK: hook}} for name in names}
    tree = {**SETTINGS, **settings, "plugins": {**SETTINGS["plugins"], **named}}
    made: dict[str, Any] = await retried(lambda: request(operator, "ops", "apply", settings=tree))
    return made


async def listed(operator: NatsTransport) -> Mapping[str, Any]:
    plugins = (await request(operator, "ops", "list"))["plugins"]
    return {p["plugin"]: p for p in plugins if p["plugin"] not in PLUGINS}
