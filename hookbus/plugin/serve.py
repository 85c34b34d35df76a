"""A plugin on the broker: one queue subscription per hook, announced to the registry."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Literal

import msgspec

from hookbus import subjects
from hookbus.config.plugin_values import resolve_values
from hookbus.emitter import Emitter
from hookbus.errors import TransportError
from hookbus.loop import clock_of
from hookbus.manifest.announcement import Announcement, encode_announcement
from hookbus.manifest.hook import MAX_TIMEOUT_MS
from hookbus.otel.handlers import HandlerSpans
from hookbus.plugin.declare import Hook, Plugin
from hookbus.plugin.handle import Handling
from hookbus.plugin.observing import Observing
from hookbus.presence import Endpoint, Presence, Service
from hookbus.transport import Message, Subscription, Transport
from hookbus.wire.call import decode_call
from hookbus.wire.limits import NOT_JSON
from hookbus.wire.redelivery import Redelivery

ANNOUNCE_TIMEOUT: Final = 2.0  # seconds to wait for the registry's answer
GOODBYE_TIMEOUT: Final = 2.0  # seconds
CATCH_UP: Final = 0.1  # seconds between two looks for a free place, once it is back …
CATCH_UP_LOOKS: Final = 20  # … and how often at most
#: Seconds between announcements; the last repeats. Short at first: a bus starts all at once, and
#: its registry takes longer than a plugin.
BACK_OFF: Final = (0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.4, 0.4, 0.8, 1.0, 2.0, 5.0)

log = logging.getLogger(__name__)


class AnnounceAnswer(msgspec.Struct, frozen=True):
    """What the registry says to an announcement.

    Attributes:
        v: version of the protocol, 1.
        state: ``bound`` (it is asked), ``pending`` (it waits for an operator) or ``refused``.
        generation: number of the configuration that it is bound by; 0 is none.
        config: the values of ``[plugins.NAME.config]``, before ``env:`` and ``file:`` are read.
        observers: how often observed messages come again, and when.
        problems: why it is not bound, each ``{"at": …, "message": …}``.
    """

    v: int
    state: str
    generation: int = 0
    config: dict[str, Any] = {}
    observers: Redelivery | None = None
    problems: list[dict[str, str]] = []


class PluginServer:
    """Serves one plugin over a transport, from :meth:`start` to :meth:`stop`.

    For a process with an event loop of its own; otherwise :meth:`hookbus.Plugin.run` does it all.

        transport = await NatsTransport.connect("nats://127.0.0.1:4222", principal=plugin.name)
        server = PluginServer(plugin, transport)
        await server.start()

    Attributes:
        instance: names this process among the plugin's replicas.
        answered: the registry's last answer; None until there is one.
        on_answer: is called with each answer of the registry; set it before :meth:`start`.
    """

    def __init__(self, plugin: Plugin, transport: Transport) -> None:
        self._plugin = plugin
        self._transport = transport
        self._handling = Handling(plugin)
        self._spans = HandlerSpans()
        self._observing = Observing(plugin.name, self._handling, self._spans, self._publish)
        self._loop = asyncio.get_running_loop()
        self._clock = clock_of(self._loop)
        self.instance = secrets.token_hex(8)
        self._endpoints = {
            name: Endpoint(name, subjects.call(plugin.name, name), plugin.name, data=self._data)
            for name in plugin.hooks
        }
        service = Service(
            plugin.name, plugin.version, self.instance, endpoints=list(self._endpoints.values())
        )
        self._presence = Presence(transport, service)
        self._subscriptions: list[Subscription] = []
        self._running: set[asyncio.Task[None]] = set()
        self._announcing: asyncio.Task[None] | None = None
        self._expired = 0
        self.answered: AnnounceAnswer | None = None
        self.on_answer: Callable[[AnnounceAnswer], None] = lambda answer: None

    @property
    def stuck_threads(self) -> int:
        """Handlers in threads that outlived their timeout and still run."""
        return self._handling.slots.stuck_threads

    async def start(self) -> None:
        """Subscribe, then announce: the bus must not ask before the broker knows us."""
        plugin = self._plugin
        for name, hook in plugin.hooks.items():
            on_message = self._on_observed if hook.options.phase == "observe" else self._on_call
            self._subscriptions.append(
                await self._transport.subscribe(
                    # the exact subject: JetStream does not see a wildcard as interest of a
                    # deliver group
                    subjects.call(plugin.name, name),
                    self._handler(hook, on_message),
                    queue=plugin.name,
                )
            )
        self._subscriptions.append(
            await self._transport.subscribe(subjects.config(plugin.name), self._on_config)
        )
        await self._presence.start()
        await self._transport.flush()
        source = f"/plugins/{plugin.name}"
        plugin.serve_with(Emitter(self._transport, source=source, principal=plugin.name))
        self._transport.on_reconnect(self._on_back)
        self.announce_again()

    async def announced(self) -> AnnounceAnswer | None:
        """Wait until the registry has answered."""
        if self._announcing is not None:
            await asyncio.shield(self._announcing)
        return self.answered

    async def stop(self) -> None:
        """Say goodbye, then drain: whoever still asks before the goodbye is known is answered."""
        if self._announcing is not None:
            self._announcing.cancel()
        await self._say_goodbye()
        for subscription in self._subscriptions:
            await subscription.drain()
        while self._running:
            await asyncio.wait(self._running)
        await self._presence.stop()
        self._plugin.serve_with(None)
        self._handling.slots.executor.shutdown(wait=False, cancel_futures=True)

    def _data(self) -> dict[str, Any]:
        slots = self._handling.slots
        return {
            "in_flight": len(self._running),
            "expired": self._expired,
            "threads": slots.threads,
            "stuck_threads": slots.stuck_threads,
        }

    def _handler(
        self, hook: Hook, answer: Callable[[Hook, Message, float], Coroutine[Any, Any, None]]
    ) -> Callable[[Message], None]:
        def on_message(message: Message) -> None:
            # one task per message: a slow handler never holds up the others
            task = self._loop.create_task(answer(hook, message, self._clock()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        return on_message

    async def _on_call(self, hook: Hook, message: Message, arrived: float) -> None:
        name = hook.options.name
        if not message.reply.startswith(subjects.REPLY):
            return  # NATS does not check reply subjects: a verdict goes to a dispatcher or nowhere
        try:
            if not message.data.isascii():
                message.data.decode()  # msgspec skips the inside of members that it does not know
            call = decode_call(message.data)
        except NOT_JSON as e:
            self._handling.lines.warn("malformed_call", name, str(e))
            return
        # no call may take longer; and an integer can be too large for a float
        timeout_ms = min(call.timeout_ms, MAX_TIMEOUT_MS)
        time_left = timeout_ms / 1000 - (self._clock() - arrived)
        try:
            answering = self._handling.answer(hook, call, time_left)
            body = await (self._spans.call(call, answering) if call.traceparent else answering)
        except asyncio.CancelledError:  # who asked shall not wait in vain
            await self._publish(message.reply, self._handling.cancelled(call))
            raise
        self._endpoints[name].done(self._clock() - arrived, "" if body else "timed out")
        if body is None:
            self._expired += 1
        elif not self._post(message.reply, body):
            await self._transport.ready()

    async def _on_observed(self, hook: Hook, message: Message, arrived: float) -> None:
        error = await self._observing.take(hook, message)
        if error is not None:
            self._endpoints[hook.options.name].done(self._clock() - arrived, error)

    async def _publish(self, reply: str, body: bytes) -> None:
        if not self._post(reply, body):
            await self._transport.ready()

    def _post(self, reply: str, body: bytes) -> bool:
        try:
            return self._transport.post(reply, body)
        except TransportError as e:
            log.warning("answer_not_sent: %s", e)
            return True

    def _on_config(self, message: Message) -> None:
        try:
            changed = msgspec.json.decode(message.data, type=_ConfigMessage)
        except NOT_JSON as e:
            log.warning("malformed_config: %s", e)
            return
        self._observing.redelivery = changed.observers or self._observing.redelivery
        self._configure(changed.config)

    def _configure(self, config: Mapping[str, Any]) -> None:
        """Take new values; a plugin that lacks one of them must not answer as if it had it."""
        values, problems = resolve_values(config)
        self._handling.unusable = "; ".join(map(str, problems))
        if problems:
            log.warning("config_unusable plugin=%s: %s", self._plugin.name, self._handling.unusable)
            return
        self._plugin.configure(values)

    def announce_again(self) -> None:
        """Tell the registry again that the plugin is there; :meth:`announced` waits for it."""
        if self._announcing is not None:
            self._announcing.cancel()
        self._announcing = self._loop.create_task(self._announce())

    def _on_back(self) -> None:
        """Announce once there is a free place: the next call is to show that all is well again."""
        if self._announcing is not None:
            self._announcing.cancel()
        self._announcing = self._loop.create_task(self._announce_when_free())

    async def _announce_when_free(self) -> None:
        for _ in range(CATCH_UP_LOOKS):  # who stood still has much to read first
            await asyncio.sleep(CATCH_UP)
            if not self._handling.slots.are_taken:
                break
        await self._announce()

    async def _announce(self) -> None:
        """Announce until the registry answers; the plugin serves all the same."""
        hooks = tuple(hook.options for hook in self._plugin.hooks.values())
        body = encode_announcement(self._announcement(hooks=hooks))
        attempt = 0
        while True:
            try:
                answer = await self._tell_registry(body, ANNOUNCE_TIMEOUT)
            except (TransportError, *NOT_JSON) as e:
                delay = BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
                if attempt == len(BACK_OFF):  # not at once: in a fresh bus it may just come later
                    log.warning("not_announced plugin=%s: %s; trying on", self._plugin.name, e)
                attempt += 1
                await asyncio.sleep(delay)
                continue
            self.answered = answer
            self._observing.redelivery = answer.observers or self._observing.redelivery
            self._configure(answer.config)
            self.on_answer(answer)
            return

    async def _say_goodbye(self) -> None:
        body = encode_announcement(self._announcement(goodbye=True))
        try:
            await self._tell_registry(body, GOODBYE_TIMEOUT)
        except (TransportError, *NOT_JSON) as e:
            log.info("goodbye_not_answered plugin=%s: %s", self._plugin.name, e)

    async def _tell_registry(self, body: bytes, timeout: float) -> AnnounceAnswer:
        subject = subjects.announce(self._plugin.name)
        reply = await self._transport.request(subject, body, timeout=timeout)
        return msgspec.json.decode(reply.data, type=AnnounceAnswer)

    def _announcement(self, **members: Any) -> Announcement:
        return Announcement(
            plugin=self._plugin.name,
            version=self._plugin.version,
            instance=self.instance,
            candidate_of=self._plugin.candidate_of,
            **members,
        )


class _ConfigMessage(msgspec.Struct, frozen=True):
    v: Literal[1]
    config: dict[str, Any]
    observers: Redelivery | None = None
