"""A whole bus for one test: registry, dispatchers, plugins and an emitter in one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

import msgspec

from hookbus import control, observers, presence, subjects
from hookbus.config.settings import Settings, parse_settings
from hookbus.control import Control
from hookbus.dispatch.role import DispatcherRole
from hookbus.emitter import Emitter
from hookbus.message import Message
from hookbus.models import Continue, Decision, HookEvent
from hookbus.plugin import Plugin, PluginServer
from hookbus.registry import Registry
from hookbus.settings_changes import Source
from hookbus.snapshot import Binding, ConfigDocument, decode_document
from hookbus.streams import Streams
from hookbus.transport import Transport
from tests.flow.engines import Engine
from tests.flow.scripted import Scripted

HI = {"text": "hi"}
TIMEOUT = 5.0  # seconds for an emit that says nothing else: room for a busy machine

T = TypeVar("T")


class Bus:
    """Starts what a test asks for, and stops all of it at the end."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.dispatchers: list[DispatcherRole] = []
        self._connections: list[Transport] = []
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._served_over: dict[PluginServer, Transport] = {}
        self._begun: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        self.transport = await self.connect()
        self.emitter = Emitter(self.transport, source="/test", timeout=TIMEOUT)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._begun:
            task.cancel()
        await asyncio.gather(*self._begun, return_exceptions=True)
        for close in reversed(self._closing):
            await close()
        if self._tasks:
            await asyncio.gather(*self._tasks)
        for transport in self._connections:
            await transport.close()
        await self.engine.stop()

    @property
    def dispatcher(self) -> DispatcherRole:
        return self.dispatchers[0]

    @property
    def counters(self) -> Mapping[str, int]:
        """What the first dispatcher has counted."""
        return self.dispatcher.counters.as_dict()

    async def connect(
        self,
        principal: str = subjects.ANONYMOUS,
        *,
        can_cut: bool = False,
        denied: Sequence[str] = (),
    ) -> Transport:
        """Open one more connection."""
        transport = await self.engine.connect(principal, can_cut=can_cut, denied=denied)
        self._connections.append(transport)
        return transport

    async def start(self, *plugins: Scripted, can_cut: bool = False, **settings: Any) -> None:
        """Start a development bus with *settings*, and bind *plugins*."""
        await self.start_registry(**settings)
        await self.start_dispatcher(can_cut=can_cut)
        for plugin in plugins:
            await self.add(plugin)
        await self.served()

    async def start_registry(self, **settings: Any) -> Registry:
        """Host a registry, as the role does; it is never in the way of an emit."""
        said = parse_settings({"mode": "development", **settings}, "the test's settings")
        return await self.host_registry(Source(said))

    async def host_registry(self, source: Source, now: Callable[[], float] = time.time) -> Registry:
        """Host a registry over its own connection, started with *source*."""
        transport = self.registry_transport = await self.connect("registry")
        config = await self.engine.bucket(transport, subjects.CONFIG_BUCKET)
        state = await self.engine.bucket(transport, subjects.STATE_BUCKET)
        self.registry = Registry(transport, config, state, source, now)
        self.streams = self.engine.streams(transport)
        await observers.ensure_streams(self.streams, source.settings or Settings())
        self.registry.configuration.on_bindings = _consumers_on(self.streams)
        answering = Control(self.registry, transport)

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
        self, *, can_cut: bool = False, denied: Sequence[str] = ()
    ) -> DispatcherRole:
        transport = await self.connect("dispatcher", can_cut=can_cut, denied=denied)
        self.dispatcher_transport = transport
        role = DispatcherRole(
            transport,
            lambda: self.engine.bucket(transport, subjects.CONFIG_BUCKET),
            version="0.1.0",
        )
        await role.start()
        self.dispatchers.append(role)
        self._closing.append(role.stop)
        return role

    async def add(self, plugin: Scripted, *, can_cut: bool = False) -> dict[str, Any]:
        """Let a scripted plugin listen and announce itself; return the registry's answer."""
        await plugin.listen(await self.connect(plugin.name, can_cut=can_cut))
        answer = await plugin.announce()
        if self.dispatchers:
            await self.served()
        return answer

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

    def connection_of(self, server: PluginServer) -> Transport:
        return self._served_over[server]

    async def served(self) -> int:
        """Wait until every dispatcher uses the newest generation; return it."""
        made = await self.registry.settings.refresh()
        await self.until(
            lambda: all(d.ingress.generation >= made.generation for d in self.dispatchers)
        )
        return made.generation

    async def until_bound(self, plugin: str) -> None:
        """Wait until every dispatcher asks *plugin*."""
        await self._until_bindings(lambda names: plugin in names)

    async def until_unbound(self, plugin: str) -> None:
        """Wait until no dispatcher asks *plugin* any more."""
        await self._until_bindings(lambda names: plugin not in names)

    async def _until_bindings(self, is_so: Callable[[set[str]], bool]) -> None:
        config = await self.engine.bucket(self.transport, subjects.CONFIG_BUCKET)
        while True:
            entry = await config.get(subjects.CONFIG_KEY)
            document = decode_document(entry.value) if entry else ConfigDocument()
            if is_so({binding.plugin for binding in document.bindings}):
                break
            await asyncio.sleep(0.001)
        revision = entry.revision if entry else 0
        await self.until(lambda: all(d.ingress.generation >= revision for d in self.dispatchers))

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait for what no event tells of; the test's own time limit ends it."""
        while not is_true():
            await asyncio.sleep(0.001)

    async def emit(
        self, data: Any = HI, type: str = "message_received", **attributes: Any
    ) -> Decision:
        return await self.emitter.emit(type, data, **attributes)

    async def emit_within(self, timeout_ms: int) -> Decision:
        """Emit with a timeout for the bus, and wait longer than that: real machines are slow."""
        patient = Emitter(self.transport, source="/test", timeout=None)
        return await patient.emit("message_received", HI, hbtimeoutms=timeout_ms)

    async def emit_as(self, principal: str, data: Any) -> Decision:
        """Emit under a name, as a plugin does that emits events itself."""
        emitter = Emitter(self.transport, source="/test", principal=principal, timeout=TIMEOUT)
        return await emitter.emit("message_received", data)

    async def timed(self, work: Awaitable[T]) -> tuple[T, float]:
        """Await *work*; return its result and the seconds that it took."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        return await work, loop.time() - started

    async def together(self, work: Iterable[Awaitable[T]]) -> list[T]:
        """Do all at once; return the results in the order of *work*."""
        return await asyncio.gather(*work)

    def now(self) -> float:
        """The loop's clock, in seconds."""
        return asyncio.get_running_loop().time()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start *work* beside the test; what still runs at the end is cancelled."""
        task = asyncio.ensure_future(work)
        self._begun.append(task)
        return task

    async def send(
        self,
        body: bytes,
        *,
        type: str = "message_received",
        headers: Mapping[str, str] | None = None,
        kind: str = "emit",
    ) -> Message:
        """Send these very bytes to the dispatchers and return the reply."""
        subject = f"hookbus.{kind}.{subjects.ANONYMOUS}.{type}"
        return await self.transport.request(subject, body, timeout=TIMEOUT, headers=headers)

    async def control(self, operation: str, **members: Any) -> dict[str, Any]:
        return await control.request(self.transport, "ops", operation, **members)

    async def ask(self, verb: str, service: str) -> list[dict[str, Any]]:
        """Ask who is there, through the Service API."""
        return await presence.ask(self.transport, verb, service, window=0.1)

    async def stored(self, stream: str) -> list[tuple[str, dict[str, Any]]]:
        """Read subject and content of everything that the dispatcher has sent to *stream*."""
        # behind the rest on the same connection, so that all of it is stored
        marker = subjects.STREAM_SUBJECTS[stream].replace(">", "marker")
        await self.dispatcher_transport.request(marker, b"{}", timeout=TIMEOUT)
        messages: list[tuple[str, dict[str, Any]]] = []
        while message := await self.streams.read(stream, len(messages) + 1):
            messages.append((message.subject, msgspec.json.decode(message.data)))
        return [message for message in messages if message[0] != marker]

    async def forget_stream(self, name: str) -> None:
        """Take a stream away, as an operator's mistake would."""
        await self.engine.forget_stream(self.registry_transport, name)

    def about(self, seconds: float) -> object:
        """What a measured duration must equal: exact in memory, with air on the real server."""
        return self.engine.about(seconds)

    def told(self, milliseconds: int) -> object:
        """What a plugin must be told is left for it: a real server has used some of it up."""
        return self.engine.told(milliseconds)

    @property
    def url(self) -> str:
        return self.engine.url

    def cut(self, transport: Transport) -> None:
        self.engine.cut(transport)

    def mend(self, transport: Transport) -> None:
        self.engine.mend(transport)

    def _tasks_of(
        self, answer: Callable[[Message], Coroutine[Any, Any, None]]
    ) -> Callable[[Message], None]:
        return lambda message: self._tasks.add(asyncio.ensure_future(answer(message)))


def calm_plugin(name: str) -> Plugin:
    """A plugin of the SDK that objects to nothing."""
    plugin = Plugin(name, version="1.0.0")

    @plugin.hook("message_received", phase="validate", name="hook", timeout_ms=1_000)
    async def continue_(event: HookEvent[Any]) -> Continue:
        return Continue()

    return plugin


def _consumers_on(streams: Streams) -> Callable[[tuple[Binding, ...]], Awaitable[None]]:
    async def sync(bindings: tuple[Binding, ...]) -> None:
        await observers.sync_consumers(streams, bindings)

    return sync
