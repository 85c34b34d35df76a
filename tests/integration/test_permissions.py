"""What each kind of principal may do at the broker, tried with plain nats-py: this, and no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import nats.errors
import pytest
from nats.aio.client import Client

from hookbus.identity.keys import new_key
from tests.integration.guarded import CAST, Guarded, guarded

#: What anybody could want to write, in the name of chat, guard, ops and others.
PUBLISH = (
    "hookbus.emit.chat.message_received",
    "hookbus.notify.chat.message_received",
    "hookbus.emit.shop.message_received",
    "hookbus.emit.guard.message_received",
    "hookbus.notify.guard.message_received",
    "hookbus.emit.hosted.message_received",
    "hookbus.emit.tess.message_received",
    "hookbus.notify.tess.message_received",
    "hookbus.emit.near.message_received",
    "hookbus.call.guard.message-received",
    "hookbus.call.scribe.message-received",
    "hookbus.reply.d1.c1.guard",
    "hookbus.reply.d1.c1.scribe",
    "hookbus.reply.d1.c1.hosted",
    "hookbus.announce.guard",
    "hookbus.announce.scribe",
    "hookbus.announce.hosted",
    "hookbus.config.guard",
    "hookbus.config.chat",
    "hookbus.ctl.ops.list",
    "hookbus.ctl.ops.remove",
    "hookbus.ctl.boss.remove",
    "hookbus.ctl.eve.list",
    "hookbus.ctl.eve.settings",
    "hookbus.ctl.eve.history",
    "hookbus.ctl.eve.remove",
    "hookbus.ctl.eve.mode",
    "hookbus.ctl.eve.apply",
    "hookbus.ctl.eve.rollback",
    "hookbus.ctl.eve.approve",
    "hookbus.ctl.tess.list",
    "hookbus.ctl.tess.mode",
    "hookbus.ctl.chat.list",
    "hookbus.decision.continue.message_received",
    "hookbus.observe.message_received",
    "hookbus.input.message_received",
    "hookbus.dlq.guard.hook",
    "hookbus.retry.guard.hook",
    "_INBOX.chat.x",
    "_INBOX.shop.x",
    "_INBOX.guard.x",
    "_INBOX.dispatcher.announced.guard",
    "$SRV.PING.guard",
    "$SRV.PING",
    "$SRV.STATS.hookbus-dispatcher",
    "$SRV.PING.hookbus-registry",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.ACCOUNT.HOOKBUS.CONNZ",
    "$KV.hookbus_config.current",
    "$KV.hookbus_state.overrides",
    "$JS.ACK.HOOKBUS_OBSERVE.guard_hook.1.1.1.1.1",
    "$JS.FC.x",
    "$JS.API.INFO",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.INFO.HOOKBUS_DECISIONS",
    "$JS.API.STREAM.INFO.HOOKBUS_INPUTS",
    "$JS.API.STREAM.INFO.HOOKBUS_OBSERVE",
    "$JS.API.STREAM.INFO.KV_hookbus_config",
    "$JS.API.STREAM.MSG.GET.KV_hookbus_config",
    "$JS.API.STREAM.MSG.GET.KV_hookbus_state",
    "$JS.API.STREAM.MSG.GET.HOOKBUS_DECISIONS",
    "$JS.API.STREAM.MSG.GET.HOOKBUS_INPUTS",
    "$JS.API.DIRECT.GET.HOOKBUS_INPUTS",
    "$JS.API.CONSUMER.CREATE.HOOKBUS_DECISIONS.one.hookbus.decision.>",
    "$JS.API.CONSUMER.CREATE.HOOKBUS_INPUTS.one.hookbus.input.>",
    "$JS.API.CONSUMER.CREATE.HOOKBUS_OBSERVE.one.hookbus.observe.>",
    "$JS.API.CONSUMER.CREATE.KV_hookbus_config.one",
    "$JS.API.CONSUMER.MSG.NEXT.HOOKBUS_OBSERVE.guard_hook",
    "$JS.API.CONSUMER.DELETE.HOOKBUS_OBSERVE.guard_hook",
    "$JS.API.STREAM.UPDATE.HOOKBUS_DECISIONS",
    "$JS.API.STREAM.PURGE.HOOKBUS_DECISIONS",
    "$JS.API.STREAM.DELETE.HOOKBUS_NONE",
    "$JS.API.STREAM.CREATE.mine",
)

#: What anybody could want to read. A second word is a queue group.
SUBSCRIBE = (
    ">",
    "*.>",
    "hookbus.>",
    "hookbus.*.guard.>",
    "hookbus.emit.>",
    "hookbus.emit.> dispatcher",
    "hookbus.notify.> dispatcher",
    "hookbus.emit.chat.>",
    "hookbus.call.>",
    "hookbus.call.guard.hook",
    "hookbus.call.guard.hook guard",
    "hookbus.call.guard.hook scribe",
    "hookbus.call.scribe.hook",
    "hookbus.call.scribe.hook scribe",
    "hookbus.call.scribe.hook guard",
    "hookbus.call.hosted.hook hosted",
    "hookbus.reply.>",
    "hookbus.reply.d1.*.guard",
    "hookbus.announce.* registry",
    "hookbus.announce.guard",
    "hookbus.config.>",
    "hookbus.config.guard",
    "hookbus.config.scribe",
    "hookbus.ctl.> registry",
    "hookbus.ctl.ops.>",
    "hookbus.decision.>",
    "hookbus.decision.block.>",
    "hookbus.observe.>",
    "hookbus.input.>",
    "hookbus.dlq.>",
    "hookbus.retry.>",
    "_INBOX.>",
    "_INBOX.*.x",
    "_INBOX.chat.x",
    "_INBOX.shop.x",
    "_INBOX.guard.x",
    "_INBOX.host.x",
    "_INBOX.ops.x",
    "_INBOX.boss.x",
    "_INBOX.eve.x",
    "_INBOX.tess.x",
    "_INBOX.near.x",
    "_INBOX.dispatcher.x",
    "_INBOX.registry.x",
    "$SRV.>",
    "$SRV.PING",
    "$SRV.PING.guard",
    "$SRV.PING.scribe.x",
    "$SRV.PING.hookbus-dispatcher",
    "$SRV.PING.hookbus-registry",
    "$SRV.PING.hookbus-runner",
    "$SYS.>",
    "$SYS.ACCOUNT.*.CONNECT",
    "$KV.>",
    "$KV.hookbus_config.current",
    "$JS.>",
    "$JS.EVENT.ADVISORY.>",
    "$JS.API.>",
)

#: name → (what of PUBLISH it may, what of SUBSCRIBE it may). Everything else is refused.
MAY: dict[str, tuple[set[str], set[str]]] = {
    "chat": (
        {"hookbus.emit.chat.message_received", "hookbus.notify.chat.message_received"},
        {"_INBOX.chat.x"},
    ),
    "guard": (
        {
            "hookbus.emit.guard.message_received",
            "hookbus.notify.guard.message_received",
            "hookbus.reply.d1.c1.guard",
            "hookbus.announce.guard",
        },
        {
            "hookbus.call.guard.hook guard",
            "hookbus.config.guard",
            "_INBOX.guard.x",
            "$SRV.PING",
            "$SRV.PING.guard",
        },
    ),
    "host": (
        {
            "hookbus.emit.hosted.message_received",
            "hookbus.reply.d1.c1.hosted",
            "hookbus.announce.hosted",
        },
        {
            "hookbus.call.hosted.hook hosted",
            "_INBOX.host.x",
            "$SRV.PING",
            "$SRV.PING.hookbus-runner",
        },
    ),
    "dispatcher": (
        {
            "hookbus.call.guard.message-received",
            "hookbus.call.scribe.message-received",
            "hookbus.decision.continue.message_received",
            "hookbus.observe.message_received",
            "hookbus.input.message_received",
            "_INBOX.chat.x",
            "_INBOX.shop.x",
            "_INBOX.guard.x",
            "_INBOX.dispatcher.announced.guard",
            "$JS.FC.x",
            "$JS.API.STREAM.INFO.KV_hookbus_config",
            "$JS.API.STREAM.MSG.GET.KV_hookbus_config",
            "$JS.API.CONSUMER.CREATE.KV_hookbus_config.one",
        },
        {
            "hookbus.emit.> dispatcher",
            "hookbus.notify.> dispatcher",
            "hookbus.reply.>",
            "hookbus.reply.d1.*.guard",
            "_INBOX.dispatcher.x",
            "$SRV.PING",
            "$SRV.PING.hookbus-dispatcher",
        },
    ),
    "near": (  # as the dispatcher, but it hears no event of others
        {
            "hookbus.call.guard.message-received",
            "hookbus.call.scribe.message-received",
            "hookbus.decision.continue.message_received",
            "hookbus.observe.message_received",
            "hookbus.input.message_received",
            "_INBOX.chat.x",
            "_INBOX.shop.x",
            "_INBOX.guard.x",
            "_INBOX.dispatcher.announced.guard",
            "$JS.FC.x",
            "$JS.API.STREAM.INFO.KV_hookbus_config",
            "$JS.API.STREAM.MSG.GET.KV_hookbus_config",
            "$JS.API.CONSUMER.CREATE.KV_hookbus_config.one",
        },
        {
            "hookbus.reply.>",
            "hookbus.reply.d1.*.guard",
            "_INBOX.near.x",
            "$SRV.PING",
            "$SRV.PING.hookbus-dispatcher",
        },
    ),
    "registry": (
        {
            "hookbus.config.guard",
            "hookbus.config.chat",
            "hookbus.dlq.guard.hook",
            "hookbus.retry.guard.hook",
            *(s for s in PUBLISH if s.startswith(("_INBOX.", "$JS.A", "$KV.", "$SRV."))),
        },
        {
            "hookbus.announce.* registry",
            "hookbus.ctl.> registry",
            "_INBOX.registry.x",
            "$SRV.PING",
            "$SRV.PING.hookbus-registry",
            "$JS.EVENT.ADVISORY.>",
        },
    ),
    "ops": (
        {
            "hookbus.ctl.ops.list",
            "hookbus.ctl.ops.remove",
            "$SRV.STATS.hookbus-dispatcher",
            "$SRV.PING.hookbus-registry",
            "$JS.API.STREAM.INFO.HOOKBUS_DECISIONS",
            "$JS.API.STREAM.INFO.HOOKBUS_INPUTS",
            "$JS.API.STREAM.INFO.HOOKBUS_OBSERVE",
            "$JS.API.CONSUMER.CREATE.HOOKBUS_DECISIONS.one.hookbus.decision.>",
        },
        {"hookbus.decision.>", "hookbus.decision.block.>", "_INBOX.ops.x"},
    ),
    "eve": (
        {
            "hookbus.ctl.eve.list",
            "hookbus.ctl.eve.settings",
            "hookbus.ctl.eve.history",
            "$SRV.STATS.hookbus-dispatcher",
            "$SRV.PING.hookbus-registry",
            "$JS.API.STREAM.INFO.HOOKBUS_DECISIONS",
            "$JS.API.CONSUMER.CREATE.HOOKBUS_DECISIONS.one.hookbus.decision.>",
        },
        {"hookbus.decision.>", "hookbus.decision.block.>", "_INBOX.eve.x"},
    ),
    "tess": (
        {
            "hookbus.emit.tess.message_received",
            "hookbus.ctl.tess.list",
            "$SRV.STATS.hookbus-dispatcher",
            "$SRV.PING.hookbus-registry",
            "$JS.API.STREAM.INFO.HOOKBUS_DECISIONS",
            "$JS.API.STREAM.INFO.HOOKBUS_INPUTS",
            "$JS.API.CONSUMER.CREATE.HOOKBUS_DECISIONS.one.hookbus.decision.>",
            "$JS.API.CONSUMER.CREATE.HOOKBUS_INPUTS.one.hookbus.input.>",
        },
        {"hookbus.decision.>", "hookbus.decision.block.>", "_INBOX.tess.x"},
    ),
}


@pytest.fixture(scope="module")
def server(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("guarded")) as made:
        yield made


def test_every_kind_is_tried() -> None:
    kinds = {name: kind for kind, name, _ in CAST}

    assert {kinds[name] for name in MAY} == set(kinds.values())


@pytest.mark.parametrize("name", list(MAY))
def test_a_principal_may_publish_what_its_kind_needs_and_nothing_else(
    server: Guarded, name: str
) -> None:
    async def scenario() -> set[str]:
        async with server.plain(name) as plain:
            return {subject for subject in PUBLISH if await plain.may_publish(subject)}

    assert asyncio.run(scenario()) == MAY[name][0]


@pytest.mark.parametrize("name", list(MAY))
def test_a_principal_may_hear_what_its_kind_needs_and_nothing_else(
    server: Guarded, name: str
) -> None:
    async def scenario() -> set[str]:
        async with server.plain(name) as plain:
            return {subject for subject in SUBSCRIBE if await plain.may_subscribe(subject)}

    assert asyncio.run(scenario()) == MAY[name][1]


def test_nobody_without_credentials_gets_in(server: Guarded) -> None:
    async def scenario(**options: str) -> None:
        client = Client()

        async def on_error(error: Exception) -> None: ...

        try:
            with contextlib.suppress(nats.errors.Error):
                await client.connect(
                    server.url,
                    allow_reconnect=False,
                    max_reconnect_attempts=0,
                    error_cb=on_error,
                    **options,
                )
            assert not client.is_connected
        finally:
            await client.close()

    unknown, _ = new_key()
    for options in (
        {},
        {"user": "registry", "password": ""},
        {"token": "registry"},
        {"nkeys_seed_str": unknown},
    ):
        asyncio.run(scenario(**options))


def test_a_plugin_answers_what_it_was_asked_and_only_so_often(server: Guarded) -> None:
    """Service answers and acknowledgements go to any reply subject that a role asked with."""

    async def scenario() -> tuple[list[bool], bool]:
        async with server.plain("registry") as ops, server.plain("guard") as guard:
            asked: asyncio.Queue[str] = asyncio.Queue()

            async def on_ping(message: object) -> None:
                asked.put_nowait(getattr(message, "reply", ""))

            await guard.client.subscribe("$SRV.PING.guard", cb=on_ping)
            await guard.settle()
            await ops.client.publish("$SRV.PING.guard", b"", reply="_INBOX.registry.answer")
            reply = await asyncio.wait_for(asked.get(), 30)
            answers = [await guard.may_publish(reply) for _ in range(20)]
            return answers, await guard.may_publish("_INBOX.registry.other")

    answers, other = asyncio.run(scenario())

    assert answers == [True] * 16 + [False] * 4
    assert not other
