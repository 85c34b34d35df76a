"""A whole bus on the running event loop: registry, dispatchers and plugins over one broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Self

from hookbus import subjects
from hookbus.config.settings import Settings, parse_settings
from hookbus.dispatch.role import DispatcherRole
from hookbus.message import Message
from hookbus.plugin import Plugin, PluginServer
from hookbus.registry import observers
from hookbus.registry.control import Control
from hookbus.registry.dead_letters import DeadLetters
from hookbus.registry.letter_box import LetterBox
from hookbus.registry.observer_control import ObserverControl
from hookbus.registry.observing import Observing
from hookbus.registry.registry import Registry
from hookbus.registry.settings_changes import Source
from hookbus.snapshot import Binding
from hookbus.streams import Streams
from hookbus.telemetry import Tracing
from hookbus.testing.backends import Backend
from hookbus.transport import Subscription, Transport

POLL = 0.001  # seconds between two looks at what no event tells of


class Bus:
    """Starts what is asked for, as the roles do, and stops all of it at the end."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.dispatchers: list[DispatcherRole] = []
        #: What writes the spans of dispatchers that are started from now on.
        self.tracing: Tracing | None = None
        self._connections: list[Transport] = []
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._served_over: dict[PluginServer, Transport] = {}

    async def __aenter__(self) -> Self:
        self.transport = await self.connect()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for close in reversed(self._closing):
            await close()
        if self._tasks:
            await asyncio.gather(*self._tasks)
        for transport in self._connections:
            await transport.close()

    async def connect(
        self,
        principal: str = subjects.ANONYMOUS,
        *,
        can_cut: bool = False,
        denied: Sequence[str] = (),
    ) -> Transport:
        """Open one more connection."""
        transport = await self._backend.connect(principal, can_cut=can_cut, denied=denied)
        self._connections.append(transport)
        return transport

    async def start_registry(self, **settings: Any) -> Registry:
        """Host a registry, as the role does; it is never in the way of an emit."""
        said = parse_settings({"mode": "development", **settings}, "the test's settings")
        return await self.host_registry(Source(said))

    async def host_registry(self, source: Source, now: Callable[[], float] = time.time) -> Registry:
        """Host a registry over its own connection, started with *source*."""
        transport = self.registry_transport = await self.connect("registry")
        config = await self._backend.bucket(transport, subjects.CONFIG_BUCKET)
        state = await self._backend.bucket(transport, subjects.STATE_BUCKET)
        self.registry = Registry(transport, config, state, source, now)
        self.streams = self._backend.streams(transport)
        await observers.ensure_streams(self.streams, source.settings or Settings())
        self.registry.configuration.on_bindings = _consumers_on(self.streams, self.registry)
        box = LetterBox(transport, self.streams)
        self.observing = Observing(self.streams, box)
        taken = self.observing.taken_away
        letters = self.dead_letters = DeadLetters(transport, self.streams, taken)
        on_observers = ObserverControl(self.registry, self.streams, box).operations
        answering = Control(self.registry, transport, self.observing.look, on_observers)
        await letters.start()
        self._closing.append(letters.stop)

        async def on_announce(message: Message) -> None:
            plugin = message.subject.split(".")[2]
            answer = await self.registry.announce(plugin, message.data)
            await transport.publish(message.reply, answer)

        async def on_control(message: Message) -> None:
            _, _, principal, operation = message.subject.split(".")
            answer = await answering.answer(principal, operation, message.data)
            await transport.publish(message.reply, answer)

        for subject, answer in (
            (subjects.ANNOUNCE_ALL, on_announce),
            (subjects.CONTROL_ALL, on_control),
        ):
            subscription = await transport.subscribe(
                subject, self._tasks_of(answer), queue=subjects.REGISTRY_QUEUE
            )
            self._closing.append(subscription.drain)
        await self.registry.settings.begin()
        await transport.flush()
        return self.registry

    async def start_dispatcher(
        self, *, can_cut: bool = False, denied: Sequence[str] = (), local_to: str | None = None
    ) -> DispatcherRole:
        """Host one more dispatcher over its own connection; *local_to* is as of DispatcherRole."""
        transport = await self.connect("dispatcher", can_cut=can_cut, denied=denied)
        self.dispatcher_transport = transport
        role = DispatcherRole(
            transport,
            lambda: self._backend.bucket(transport, subjects.CONFIG_BUCKET),
            version="0.1.0",
            local_to=local_to,
            tracing=self.tracing,
        )
        await role.start()
        self.dispatchers.append(role)
        self._closing.append(role.stop)
        return role

    async def stop_dispatchers(self) -> None:
        """Stop all of them, as SIGTERM does."""
        while self.dispatchers:
            role = self.dispatchers.pop()
            self._closing.remove(role.stop)
            await role.stop()

    async def be_silent(self) -> list[Subscription]:
        """Take what is emitted and never answer, until what is returned is drained."""
        return [
            await self.transport.subscribe(subject, _ignore, queue=subjects.DISPATCHER_QUEUE)
            for subject in (subjects.EMIT_ALL, subjects.NOTIFY_ALL)
        ]

    async def ready(self) -> None:
        """Wait until everybody is connected and decides with the newest generation."""
        await self.until(lambda: all(transport.is_connected for transport in self._connections))
        await self.until(lambda: all(d.is_ready for d in self.dispatchers))
        await self.served()

    async def serve(self, plugin: Plugin, *, can_cut: bool = False) -> PluginServer:
        """Serve a plugin of the SDK and wait until it is bound."""
        transport = await self.connect(plugin.name, can_cut=can_cut)
        server = PluginServer(plugin, transport)
        self._served_over[server] = transport
        await server.start()
        self._closing.append(server.stop)
        await server.announced()
        await self.served()
        return server

    async def leave(self, server: PluginServer) -> None:
        """Let a plugin say goodbye and go; return when nobody asks it any more."""
        await server.stop()
        await self.kill(server)
        await self.served()

    async def kill(self, server: PluginServer) -> None:
        """Take a plugin away from one moment to the next: it stays bound, and nobody answers."""
        self._closing.remove(server.stop)
        transport = self._served_over.pop(server)
        self._connections.remove(transport)
        await transport.close()

    def connection_of(self, server: PluginServer) -> Transport:
        return self._served_over[server]

    async def served(self) -> int:
        """Wait until every dispatcher uses the newest generation; return it."""
        made = await self.registry.settings.refresh()
        await self.until(
            lambda: all(d.ingress.generation >= made.generation for d in self.dispatchers)
        )
        return made.generation

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait for what no event tells of; the caller's own time limit ends it."""
        while not is_true():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(POLL)

    def _tasks_of(
        self, answer: Callable[[Message], Coroutine[Any, Any, None]]
    ) -> Callable[[Message], None]:
        return lambda message: self._tasks.add(asyncio.ensure_future(answer(message)))


def _ignore(message: Message) -> None:
    """Nobody is answered."""


def _consumers_on(
    streams: Streams, registry: Registry
) -> Callable[[tuple[Binding, ...]], Awaitable[None]]:
    redelivery = Settings().observers.redelivery

    async def on_settings(settings: Settings) -> None:
        nonlocal redelivery
        redelivery = settings.observers.redelivery

    async def sync(bindings: tuple[Binding, ...]) -> None:
        await observers.sync_consumers(streams, bindings, redelivery)

    registry.configuration.on_settings = on_settings
    return sync
