"""A whole dispatcher over one transport: inbox, ingress, configuration, presence."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from uuid_utils import uuid7

from hookbus import subjects
from hookbus.decision_lines import DecisionLines, ToldCounters
from hookbus.dispatch.asking import Asking
from hookbus.dispatch.breaker import Breakers
from hookbus.dispatch.dispatcher import Dispatcher, Tools
from hookbus.dispatch.ingress import Ingress
from hookbus.dispatch.outbox import OVERHEAD
from hookbus.dispatch.recorder import StreamRecorder
from hookbus.dispatch.shadow import Shadows
from hookbus.errors import HookbusError
from hookbus.keyvalue import Entry, KeyValue, Watch
from hookbus.loop import clock_of
from hookbus.measures import Counters, CountingObserver, Failures, Latencies
from hookbus.presence import Endpoint, Presence, Service, of_process
from hookbus.runtimes.remote import Remote
from hookbus.snapshot import ConfigDocument, Snapshot, decode_document, lapsed, next_lapse
from hookbus.telemetry import Observer, Observers, Tracing
from hookbus.transport import Message, Transport

RETRY: Final = 0.25  # seconds between attempts to follow the configuration
LAPSE_GRACE: Final = 1.0  # seconds that a registry has to make a generation of a mode that is over

log = logging.getLogger(__name__)


class DispatcherRole:
    """One dispatcher, from :meth:`start` to :meth:`stop`; replicas share the emits."""

    def __init__(
        self,
        transport: Transport,
        open_config: Callable[[], Awaitable[KeyValue]],
        *,
        version: str,
        now: Callable[[], float] = time.time,
        local_to: str | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """Dispatch over *transport*; *open_config* opens the bucket ``hookbus_config``.

        *now* is the wall clock, for modes that have an end. *local_to* is the source of the
        emitter that has this dispatcher to itself: it takes nothing from the broker.
        *tracing* writes spans, where somebody collects them.
        """
        self.instance = secrets.token_hex(8)
        self._clock = clock = clock_of(asyncio.get_running_loop())
        self.counters: Counters = ToldCounters(clock)
        self._latencies = Latencies()
        self._failures = Failures()
        self._transport = transport
        self._open_config = open_config
        self._remote = Remote(transport, self.instance, self.counters)
        self._breakers = Breakers()
        asking = Asking(self._remote, self._breakers, clock)
        self._recorder = recorder = StreamRecorder(transport, self.counters, _new_decision_id)
        self._shadows = Shadows(asking, recorder, self.counters)
        counting = CountingObserver(self.counters, self._latencies, self._failures)
        observers: list[Observer] = [counting, DecisionLines(clock)]
        if tracing is not None:
            observers.append(tracing)
        tools = Tools(
            asking,
            self._shadows,
            recorder,
            Observers(observers),
            clock,
            lambda: transport.max_payload - OVERHEAD,
        )
        dispatcher = Dispatcher(tools)
        self.ingress = Ingress(transport, dispatcher, self.counters, _new_decision_id, tracing)
        self._is_listening = local_to is None
        endpoint = Endpoint("emit", subjects.EMIT_ALL, subjects.DISPATCHER_QUEUE, data=self.stats)
        service = Service(
            subjects.DISPATCHER_SERVICE,
            version,
            self.instance,
            endpoints=[endpoint],
            metadata={**of_process(), **({} if local_to is None else {"local": local_to})},
        )
        self._presence = Presence(transport, service)
        self._following: asyncio.Task[None] | None = None
        self._watch: Watch | None = None
        self._now = now
        self._lapse: asyncio.TimerHandle | None = None

    @property
    def is_ready(self) -> bool:
        """Connected, and a configuration is loaded."""
        return self._transport.is_connected and self.ingress.generation > 0

    async def start(self) -> None:
        """Listen, then load the configuration: emits that come before it wait for it (R25)."""
        await self._remote.start()
        await self._recorder.start()
        if self._is_listening:
            await self.ingress.listen()
        await self._presence.start()
        await self._transport.subscribe(subjects.announced("*"), self._on_announced)
        await self._transport.flush()
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Stop in the order that loses nothing.

        First nobody sends us more; then what runs is decided, with the reply inbox still open;
        then the inbox closes. Draining all at once, as nats-py's drain does, loses the replies of
        the events that are still being decided.
        """
        if self._following is not None:
            self._following.cancel()
        if self._lapse is not None:
            self._lapse.cancel()
        await self.ingress.stop()
        await self._shadows.finish()
        await self._remote.stop()
        await self._recorder.stop()
        await self._presence.stop()
        if self._watch is not None:
            await self._watch.stop()

    async def _follow(self) -> None:
        """Watch the configuration; the bucket may come after us."""
        told = ""
        while self._watch is None:
            try:
                config = await self._open_config()
                self._watch = await config.watch(subjects.CONFIG_KEY, self._on_config)
            except HookbusError as e:
                if str(e) != told:
                    log.warning("no_configuration_yet: %s; trying on", e)
                told = str(e)
                await asyncio.sleep(RETRY)

    def _on_announced(self, message: Message) -> None:
        """R21: a plugin that announces itself anew is tried at once, not when its breaker ends."""
        if message.data == subjects.ANNOUNCED:
            self._breakers.announced(message.subject.rpartition(".")[2], self._clock())

    def _on_config(self, entry: Entry) -> None:
        """Take a new generation; one that cannot be read leaves the last good one in use."""
        try:
            document = decode_document(entry.value)
            snapshot = Snapshot.of(entry.revision, document)
        except Exception:
            log.exception("configuration_unreadable generation=%d", entry.revision)
            return
        self.ingress.use(snapshot)
        self._latencies.know(each.name for each in snapshot.catalog)
        self._wait_for_lapse(entry.revision, document)
        log.info("generation %d: %d bindings", snapshot.generation, len(snapshot.bindings))

    def _wait_for_lapse(self, generation: int, document: ConfigDocument) -> None:
        """Keep an operator's word on how long a mode lasts, also while no registry runs."""
        if self._lapse is not None:
            self._lapse.cancel()
        ends = next_lapse(document)
        if ends is not None:
            delay = ends + LAPSE_GRACE - self._now()
            loop = asyncio.get_running_loop()
            self._lapse = loop.call_later(delay, self._on_lapse, generation, document, ends)

    def _on_lapse(self, generation: int, document: ConfigDocument, ends: float) -> None:
        log.warning("a mode is over, and no registry made a generation of it")
        document = lapsed(document, ends)
        self.ingress.use(Snapshot.of(generation, document))
        self._wait_for_lapse(generation, document)

    def stats(self) -> dict[str, Any]:
        """What it answers to ``$SRV.STATS``: values, none of which changes afterwards."""
        return {
            "generation": self.ingress.generation,
            "in_flight": self.ingress.in_flight,
            "max_in_flight": self.ingress.max_in_flight,
            "breakers": self._breakers.states(),
            "breakers_open_ms": self._breakers.rests_ms(self._clock()),
            "counters": self.counters.as_dict(),
            "outcomes": self._latencies.outcomes(),
            "results": self._latencies.results(),
            "failures": self._failures.as_dict(),
            "latencies": self._latencies.as_dict(),
            "recording": self.recording(),
        }

    def recording(self) -> dict[str, Any]:
        """What of the records and observed events is not stored, by stream."""
        return dict(self._recorder.state())


def _new_decision_id() -> str:
    return str(uuid7())
