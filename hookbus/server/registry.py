"""The registry as a server role: FastStream takes the requests, the broker's KV keeps the state."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Iterable
from typing import Any, Final

from hookbus import __version__, presence, subjects
from hookbus.broker_needs import Lack, payload_problem
from hookbus.config.connection import Connection
from hookbus.config.settings import Settings, StreamsSettings
from hookbus.errors import Disconnected, HookbusError, SettingsError
from hookbus.families import Family
from hookbus.keyvalue import Entry, KeyValue, NatsKeyValue, Watch
from hookbus.presence import Endpoint, Presence, Service
from hookbus.registry.configuration import Made
from hookbus.registry.control import Control
from hookbus.registry.dead_letters import DeadLetters
from hookbus.registry.letter_box import LetterBox
from hookbus.registry.missing import Missing
from hookbus.registry.observer_control import ObserverControl
from hookbus.registry.observers import ensure_streams, sync_consumers
from hookbus.registry.observing import Observing
from hookbus.registry.plugin_config import tell_config
from hookbus.registry.registry import Registry
from hookbus.registry.settings_changes import Source, tell_changed_configs
from hookbus.server.file_watch import FileWatch
from hookbus.server.host import Host
from hookbus.server.metrics import RegistryStats, of_registry
from hookbus.server.rpc import Rpc
from hookbus.snapshot import Binding, is_document
from hookbus.streams import NatsStreams
from hookbus.transport import NatsTransport
from hookbus.wire.redelivery import Redelivery

RETRY: Final = 0.25  # seconds between attempts to write the configuration
LOOK: Final = 0.5  # seconds between two looks at the settings file
LOOK_FOR_STREAMS: Final = 15.0  # seconds between two looks whether the streams are there
PRESENCE_WINDOW: Final = 0.2  # seconds to hear of other registries
KEPT_GENERATIONS: Final = 64  # and as many versions of what they are made of

log = logging.getLogger(__name__)


class RegistryServer:
    """Answers plugins and operators, and writes the configuration that the dispatchers serve."""

    name: Final = "registry"

    def __init__(self, source: Source, watch: FileWatch | None, connection: Connection) -> None:
        """*watch* follows the file of *source*, if there is one."""
        self._source = source
        self._watch = watch
        self._connection = connection
        self._serving: _Serving | None = None

    @property
    def is_ready(self) -> bool:
        return self._serving is not None and self._serving.is_ready

    @property
    def health(self) -> dict[str, Any]:
        return {} if self._serving is None else self._serving.health

    def metrics(self) -> Iterable[Family]:
        return of_registry(self._serving.stats()) if self._serving is not None else ()

    async def start(self, transport: NatsTransport) -> None:
        config = await _open(transport, subjects.CONFIG_BUCKET)
        state = await _open(transport, subjects.STATE_BUCKET)
        registry = Registry(transport, config, state, self._source)
        rpc = Rpc(self._connection, self.name, transport)
        self._serving = _Serving(transport, registry, rpc, self._watch)
        await self._serving.start(config)

    async def stop(self) -> None:
        if self._serving is not None:
            serving, self._serving = self._serving, None
            await serving.stop()


def host(connection: Connection, source: Source, watch: FileWatch | None) -> Host:
    """Make a registry that is not started yet."""
    return Host(RegistryServer(source, watch, connection), connection)


async def _open(transport: NatsTransport, bucket: str, replicas: int | None = None) -> NatsKeyValue:
    return await NatsKeyValue.open(transport, bucket, history=KEPT_GENERATIONS, replicas=replicas)


class _Serving:
    """A registry over one connection."""

    def __init__(
        self, transport: NatsTransport, registry: Registry, rpc: Rpc, watch: FileWatch | None
    ) -> None:
        self._transport = transport
        self._registry = registry
        self._rpc = rpc
        self._watch = watch
        self._streams = NatsStreams(transport)
        box = LetterBox(transport, self._streams)
        self._observing = Observing(self._streams, box)
        self._letters = DeadLetters(transport, self._streams, self._observing.taken_away)
        on_observers = ObserverControl(registry, self._streams, box).operations
        self._control = Control(registry, transport, self._observing.look, on_observers)
        self._announced = Endpoint(
            "announce", subjects.ANNOUNCE_ALL, subjects.REGISTRY_QUEUE, data=lambda: self.health
        )
        self._asked = Endpoint("control", subjects.CONTROL_ALL, subjects.REGISTRY_QUEUE)
        self._presence = Presence(
            transport,
            Service(
                subjects.REGISTRY_SERVICE,
                __version__,
                secrets.token_hex(8),
                endpoints=[self._announced, self._asked],
            ),
        )
        self._made: Made | None = None
        self._file_problem: str | None = None
        self._ensured: tuple[StreamsSettings, int | None] | None = None
        self._redelivery = Redelivery()
        self._lack: Lack | None = None
        self._again = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._mending: Watch | None = None
        registry.configuration.on_settings = self._on_settings
        registry.configuration.on_bindings = self._on_bindings
        rpc.answer(subjects.ANNOUNCE_ALL, subjects.REGISTRY_QUEUE, self._on_announce)
        rpc.answer(subjects.CONTROL_ALL, subjects.REGISTRY_QUEUE, self._on_control)

    @property
    def is_ready(self) -> bool:
        """The configuration is written, or waits for an operator, and requests are taken."""
        return self._made is not None and self._rpc.is_connected

    @property
    def health(self) -> dict[str, Any]:
        """What an operator should know, also while all works."""
        current = self._registry.configuration.current
        applied = current.applied if current else None
        return {
            "generation": current.number if current else 0,
            "owner": applied.owner if applied else None,
            "file": self._registry.settings.file,
            "waiting": self._made is not None and current is None,
            "settings_problem": self._file_problem or self._registry.configuration.problem,
            "observers": self._observing.totals(),
        }

    def stats(self) -> RegistryStats:
        current = self._registry.configuration.current
        return RegistryStats(
            generation=current.number if current else 0,
            bound=len(current.plugins) if current else 0,
            endpoints=(self._announced, self._asked),
            observers=self._observing.states,
        )

    async def start(self, config: KeyValue) -> None:
        """Write the configuration, then listen: a request must find what was there before."""
        is_owned_elsewhere = await self._is_owned_elsewhere()
        made = await self._registry.settings.begin(is_owned_elsewhere=is_owned_elsewhere)
        await self._written(made)
        if made.state.applied is None:
            log.warning("no settings are applied yet; next: hookbus settings apply FILE")
        self._mending = await config.watch(subjects.CONFIG_KEY, self._on_configuration)
        await self._presence.start()
        await self._letters.start()
        await self._rpc.start()
        self._transport.on_reconnect(self._again.set)
        loop = asyncio.get_running_loop()
        looking = self._observing.keep_looking()
        tasks = (self._keep(), self._follow_file(), self._keep_streams(), looking)
        self._tasks = [loop.create_task(task) for task in tasks]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._mending is not None:
            await self._mending.stop()
        await self._rpc.stop()
        await self._letters.stop()
        self._registry.stop()
        await self._presence.stop()

    async def _is_owned_elsewhere(self) -> bool:
        """Tell whether another registry is there whose file owns the settings."""
        answers = await presence.ask(
            self._transport, "STATS", subjects.REGISTRY_SERVICE, window=PRESENCE_WINDOW
        )
        return any(map(_follows_a_file, answers))

    async def _written(self, made: Made) -> None:
        """Tell everybody: the settings may be others than before a restart."""
        for plugin in sorted({binding.plugin for binding in made.bound.document.bindings}):
            await tell_config(self._transport, plugin, made.state.settings)
        self._made = made

    async def _keep(self) -> None:
        """See after each reconnect that all is there: the broker may have come back empty."""
        told = ""  # the same is said once, however often it is tried
        while True:
            await self._again.wait()
            self._again.clear()
            try:
                await _open(self._transport, subjects.CONFIG_BUCKET)
                await _open(self._transport, subjects.STATE_BUCKET)
                self._ensured = None
                await self._written(await self._registry.settings.refresh())
                told = ""
            except Disconnected:
                continue  # the next reconnect sets it again
            except HookbusError as e:
                if str(e) != told:
                    log.warning("configuration_not_written: %s; trying on", e)
                told = str(e)
                await asyncio.sleep(RETRY)
                self._again.set()

    async def _keep_streams(self) -> None:
        """Make a stream again that somebody deleted; until then dispatchers keep what is for it."""
        missing = Missing(self._streams, (*subjects.STREAM_SUBJECTS, subjects.ADVISORIES_STREAM))
        while True:
            await asyncio.sleep(LOOK_FOR_STREAMS)
            try:
                if gone := await missing.look():
                    log.error("streams_gone: %s; making them again", ", ".join(gone))
                    self._again.set()
            except HookbusError as e:
                log.debug("streams_not_seen: %s", e)

    async def _follow_file(self) -> None:
        """Put the file in force when it changes; a bad one leaves in force what is."""
        while self._watch is not None:
            await asyncio.sleep(LOOK)
            try:
                settings = self._watch.look()
                if settings is None:
                    continue
                change = await self._registry.settings.adopt(settings)
                await tell_changed_configs(self._transport, change)
                self._file_problem = None
                log.info("the settings file changed")
            except HookbusError as e:
                if not isinstance(e, SettingsError):  # the broker's, which may be over soon
                    self._watch.look_again()
                if str(e) != self._file_problem:
                    log.error("the changed settings file is not in force: %s", e)
                self._file_problem = str(e)
            except Exception as e:  # who follows no file any more must not look as if it did
                log.exception("the settings file cannot be followed")
                self._file_problem = f"a defect: {e!r}"

    async def _on_settings(self, settings: Settings) -> None:
        lack = payload_problem(settings.max_event_bytes, self._transport.max_payload)
        if lack is not None and lack != self._lack:  # said once, however often it is written
            log.warning("%s", lack)
        self._lack = lack
        self._redelivery = settings.observers.redelivery
        wanted = (settings.streams, settings.replicas)
        if wanted != self._ensured:
            for bucket in (subjects.CONFIG_BUCKET, subjects.STATE_BUCKET):
                await _open(self._transport, bucket, settings.replicas)
            await ensure_streams(self._streams, settings)
            self._ensured = wanted

    def _on_configuration(self, entry: Entry) -> None:
        """Hear what others made. Over what no registry wrote it is written anew; dispatchers keep
        the last good one so long.
        """
        if is_document(entry.value):
            self._registry.configuration.heard(entry)
        else:
            log.error("configuration_overwritten generation=%d; writing it anew", entry.revision)
            self._again.set()

    async def _on_bindings(self, bindings: tuple[Binding, ...]) -> None:
        await sync_consumers(self._streams, bindings, self._redelivery)

    async def _on_announce(self, subject: str, body: bytes) -> bytes:
        plugin = subject.rpartition(".")[2]
        return await _counted(self._announced, self._registry.announce(plugin, body))

    async def _on_control(self, subject: str, body: bytes) -> bytes:
        principal, operation = subjects.principal_and_type(subject)  # the same shape
        return await _counted(self._asked, self._control.answer(principal, operation, body))


def _follows_a_file(answer: dict[str, Any]) -> bool:
    """Tell whether a registry says so; anybody may answer in its name, in any shape."""
    match answer.get("endpoints"):
        case [{"data": {"file": str()}}, *_]:
            return True
    return False


async def _counted(endpoint: Endpoint, answer: Awaitable[bytes]) -> bytes:
    clock = asyncio.get_running_loop().time
    started = clock()
    try:
        body = await answer
    except HookbusError as e:
        endpoint.done(clock() - started, str(e))
        raise
    endpoint.done(clock() - started)
    return body
