"""A whole bus for one test: registry, dispatchers, plugins and an emitter in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Self, TypeVar

import msgspec

from hookbus import operations, presence, subjects
from hookbus.dispatch.role import DispatcherRole
from hookbus.emitter import Emitter
from hookbus.message import Message
from hookbus.models import Continue, Decision, HookEvent
from hookbus.plugin import Plugin
from hookbus.snapshot import ConfigDocument, decode_document
from hookbus.testing import bus as testing_bus
from hookbus.transport import Transport
from tests.flow.engines import Engine
from tests.flow.scripted import Scripted

HI = {"text": "hi"}
TIMEOUT = 5.0  # seconds for an emit that says nothing else: room for a busy machine

T = TypeVar("T")


class Bus(testing_bus.Bus):
    """Adds scripted plugins, an emitter, and what tells a test's engine apart."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.engine = engine
        self._begun: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.emitter = Emitter(self.transport, source="/test", timeout=TIMEOUT)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._begun:
            task.cancel()
        await asyncio.gather(*self._begun, return_exceptions=True)
        await super().__aexit__(*exc_info)
        await self.engine.stop()

    @property
    def dispatcher(self) -> DispatcherRole:
        return self.dispatchers[0]

    @property
    def counters(self) -> Mapping[str, int]:
        """What the first dispatcher has counted."""
        return self.dispatcher.counters.as_dict()

    async def start(self, *plugins: Scripted, can_cut: bool = False, **settings: Any) -> None:
        """Start a development bus with *settings*, and bind *plugins*."""
        await self.start_registry(**settings)
        await self.start_dispatcher(can_cut=can_cut)
        for plugin in plugins:
            await self.add(plugin)
        await self.served()

    async def add(self, plugin: Scripted, *, can_cut: bool = False) -> dict[str, Any]:
        """Let a scripted plugin listen and announce itself; return the registry's answer."""
        await plugin.listen(await self.connect(plugin.name, can_cut=can_cut))
        answer = await plugin.announce()
        if self.dispatchers:
            await self.served()
        return answer

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
        return await operations.request(self.transport, "ops", operation, **members)

    async def ask(self, verb: str, service: str = "", *, expected: int = 1) -> list[dict[str, Any]]:
        """Ask through the Service API, until *expected* instances answered within one window."""
        window = 0.1
        while True:
            answers = await presence.ask(self.transport, verb, service, window=window)
            if len(answers) >= expected:
                return answers
            window *= 2  # a machine that stands still for a moment; the test's patience ends it

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


def calm_plugin(name: str) -> Plugin:
    """A plugin of the SDK that objects to nothing."""
    plugin = Plugin(name, version="1.0.0")

    @plugin.hook("message_received", phase="validate", name="hook", timeout_ms=1_000)
    async def continue_(event: HookEvent[Any]) -> Continue:
        return Continue()

    return plugin
