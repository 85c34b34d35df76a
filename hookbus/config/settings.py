"""The settings tree: every setting with its default and bounds. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from hookbus.config.lines import line_of
from hookbus.config.units import DAY, GIB, MIB, Duration, Size
from hookbus.errors import Problem, SettingsError
from hookbus.manifest.fields import MAX_BODY_BYTES, EventType, Name, Pointer, at_least, between
from hookbus.manifest.hook import HookOverlay
from hookbus.manifest.problems import join, parse, shown
from hookbus.schemas.problems import check_schema
from hookbus.subjects import RESERVED_NAMES
from hookbus.wire.redelivery import Redelivery

BusMode: TypeAlias = Literal["development", "production"]
RecordPayload: TypeAlias = Literal["none", "masked", "full"]

DEFAULT_ORIGIN: Final = "default"
MAX_BACKOFF_MS: Final = 24 * 3_600_000

_EventTimeout = Annotated[int, at_least(10)]


def _check_json(value: Mapping[str, Any]) -> Mapping[str, Any]:
    # TOML knows dates and infinity, and JSON does not: it would be found out on the way to a plugin
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as e:
        raise ValueError(f"expected what JSON can say: {e}") from e
    return value


def _check_not_path(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(
            f"expected a schema object, got {shown(value)}; only a settings file may name a path"
        )
    return value


_Json = Annotated[Mapping[str, Any], AfterValidator(_check_json)]


class Section(BaseModel):
    """A table of the settings file: frozen, strict, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class BreakerSettings(Section):
    """When a plugin is no longer called: per dispatcher and plugin.

    Attributes:
        failures: in a row, until it opens.
        open_ms: milliseconds for which it stays open at first; doubled each time after.
        max_open_ms: milliseconds, the longest of these times.
    """

    failures: Annotated[int, at_least(1)] = 5
    open_ms: Annotated[int, at_least(1)] = 1_000
    max_open_ms: Annotated[int, at_least(1)] = 30_000


class PatchSettings(Section):
    """How large a change may be.

    Attributes:
        max_ops: operations in one patch.
        max_growth: the changed payload is at most so many times the one before, plus 64 KiB.
    """

    max_ops: Annotated[int, at_least(1)] = 256
    max_growth: Annotated[float, at_least(1)] = 4.0


class ObserverSettings(Section):
    """How often observe hooks get an event that they did not handle. Times in milliseconds.

    Attributes:
        ack_wait_ms: without a word from the plugin for so long, the event is delivered again.
        max_deliver: tries, the first one included; then the event is a dead letter.
        backoff_ms: until the next try after the first one failed, the second, …; the last repeats.
    """

    ack_wait_ms: Annotated[int, at_least(100)] = 30_000
    max_deliver: Annotated[int, between(1, 1_000)] = 5
    backoff_ms: Annotated[
        tuple[Annotated[int, between(1, MAX_BACKOFF_MS)], ...],
        Field(strict=False, min_length=1, max_length=100),
    ] = (1_000, 5_000, 30_000, 120_000)

    @property
    def redelivery(self) -> Redelivery:
        """The same as plugins are told it."""
        return Redelivery(self.ack_wait_ms, self.max_deliver, self.backoff_ms)


class StreamSettings(Section):
    """How long a stream keeps messages, and how much of them; the oldest go first.

    Attributes:
        max_age: seconds, or a duration such as ``"7d"`` or ``"24h"``.
        max_bytes: bytes, or a size such as ``"1GiB"``.
    """

    max_age: Duration = DAY
    max_bytes: Size = GIB


class DecisionsStreamSettings(StreamSettings):
    """Decisions are kept for a week."""

    max_age: Duration = 7 * DAY


class DlqStreamSettings(StreamSettings):
    """Dead letters are few, and wait for a person."""

    max_age: Duration = 30 * DAY
    max_bytes: Size = 256 * MIB


class StreamsSettings(Section):
    """The four streams, by the last word of their names.

    Attributes:
        DECISIONS: what was decided.
        OBSERVE: the events that observe hooks are shown.
        INPUTS: events as they came, where ``record_payload`` keeps them.
        DLQ: observed events that could not be handed over.
    """

    DECISIONS: DecisionsStreamSettings = DecisionsStreamSettings()
    OBSERVE: StreamSettings = StreamSettings()
    INPUTS: StreamSettings = StreamSettings()
    DLQ: DlqStreamSettings = DlqStreamSettings()


class TypeSettings(Section):
    """What holds for one event type; None leaves it to the top level or the built-in schema.

    Attributes:
        json_schema: JSON Schema 2020-12 of ``data`` (``schema`` in the file, where it may also be
            the path of a JSON file, relative to the settings file).
        timeout_ms: milliseconds that an event of this type has if it names no timeout itself.
        max_timeout_ms: milliseconds; longer timeouts of such events are cut to it.
        conflict: what two plugins that change the same field differently come to: the last one's
            value, or a block.
        on_not_converged: what changes that do not settle within ``max_rounds`` come to: a block,
            or the last state.
        max_rounds: how often mutate plugins are gone through; 1 is no re-invocation.
        record_payload: what of an event is kept in ``HOOKBUS_INPUTS`` for later questions: nothing,
            the event with its secret fields masked, or the event as it came; by default ``full``
            in development and ``none`` in production.
        secret: JSON Pointers of what never leaves the bus, relative to ``data``.
    """

    json_schema: Annotated[_Json | None, BeforeValidator(_check_not_path)] = Field(
        default=None, alias="schema"
    )
    timeout_ms: _EventTimeout | None = None
    max_timeout_ms: _EventTimeout | None = None
    conflict: Literal["last_wins", "block"] = "last_wins"
    on_not_converged: Literal["block", "accept"] = "block"
    max_rounds: Annotated[int, at_least(1)] = 2
    record_payload: RecordPayload | None = None
    secret: Annotated[tuple[Pointer, ...], Field(strict=False)] = ()


class PluginSettings(Section):
    """What the operator says about one plugin.

    Attributes:
        config: reaches the plugin as ``plugin.config``; any JSON.
        manifest: path of its manifest; a file's `hooks` are its and what the file says of them.
        hooks: by hook name; each says only what was written.
    """

    config: _Json = {}
    manifest: str | None = None
    hooks: Mapping[Name, HookOverlay] = {}


@dataclass(frozen=True, slots=True)
class Origins:
    """Where settings were read: a file or request, and what single top fields came from instead.

    *text* is the file's, to find lines in.
    Two of them are always equal, so that settings compare by their values.
    """

    source: str = field(default="", compare=False)
    fields: Mapping[str, str] = field(default_factory=dict, compare=False)
    text: str = field(default="", compare=False, repr=False)

    def report(self, problems: Iterable[Problem]) -> str:
        """Write a line for each, in the order of the file.

        ``"hookbus.toml:3: breaker.failures: expected 1 or more, got 0"``
        """
        found = [(self._line(problem) or 0, problem) for problem in problems]
        return "\n".join(self._place(line, p) for line, p in sorted(found, key=itemgetter(0)))

    def _line(self, problem: Problem) -> int | None:
        return line_of(self.text, problem.at) if self.text else None

    def _place(self, line: int, problem: Problem) -> str:
        if instead := self.fields.get(problem.at):
            return f"{instead}: {problem.message}"
        return f"{self.source}:{line}: {problem}" if line else f"{self.source}: {problem}"


class Settings(Section):
    """Everything an operator can say. Times are milliseconds, sizes bytes.

    Attributes:
        mode: development binds what announces itself, production only what is named here.
        timeout_ms: milliseconds that an event has if it names no timeout itself.
        max_timeout_ms: milliseconds; longer timeouts of events are cut to it.
        ready_timeout_ms: milliseconds that an emit waits for the first configuration.
        max_event_bytes: the largest event, in bytes, or a size such as ``"64KiB"``.
        max_depth: names in the chain of events that plugins emit.
        max_in_flight: events at once in one dispatcher.
        max_plugins: plugins for one event.
        idempotency: whether an event that comes twice gets the same decision.
        audit: ``required`` answers an emit only after the stream has the decision's record, and
            with a Block if it has not within the event's time; ``best_effort`` does not wait.
        observe: auto publishes observed events only of types that somebody observes.
        upgrade: what a newer version with other hooks needs in production.
        trace_sampling: share of the events without a trace of their emitter's that begin one,
            0 … 1; what failed is always traced.
        replicas: copies of each stream and bucket in a NATS cluster; unset makes one, and leaves
            what was set by another hand.
        breaker: when a plugin that fails is no longer called.
        patch: how large a change may be.
        observers: how often observe hooks get an event that they did not handle.
        streams: how long and how much the streams keep.
        types: what holds for one event type, by its name; a table makes a type known.
        plugins: what is said about one plugin, by its name; production asks only these.
    """

    mode: BusMode = "production"
    timeout_ms: _EventTimeout = 1_000
    max_timeout_ms: _EventTimeout = 30_000
    ready_timeout_ms: Annotated[int, at_least(0)] = 2_000
    max_event_bytes: Annotated[Size, between(1, MAX_BODY_BYTES)] = 512 * 1024
    max_depth: Annotated[int, at_least(1)] = 5
    max_in_flight: Annotated[int, at_least(1)] = 1_024
    max_plugins: Annotated[int, at_least(1)] = 64
    idempotency: Literal["on", "off"] = "on"
    audit: Literal["best_effort", "required"] = "best_effort"
    observe: Literal["auto", "always"] = "auto"
    upgrade: Literal["approve", "same_permissions"] = "approve"
    trace_sampling: Annotated[float, between(0, 1)] = 0.01
    replicas: Annotated[int, between(1, 5)] | None = None
    breaker: BreakerSettings = BreakerSettings()
    patch: PatchSettings = PatchSettings()
    observers: ObserverSettings = ObserverSettings()
    streams: StreamsSettings = StreamsSettings()
    types: Mapping[EventType, TypeSettings] = {}
    plugins: Mapping[Name, PluginSettings] = {}

    _origins: Origins = PrivateAttr(default_factory=Origins)

    @property
    def origins(self) -> Origins:
        """Where these settings were read."""
        return self._origins

    def record_payload(self, event_type: str) -> RecordPayload:
        """Tell what of an event's data is recorded, by its type and else by the mode."""
        said = self.types[event_type].record_payload if event_type in self.types else None
        return said or self.default_record_payload

    @property
    def default_record_payload(self) -> RecordPayload:
        """What of the events of a type that says nothing itself is recorded."""
        return "full" if self.mode == "development" else "none"


def parse_settings(tree: object, origin: str | Origins) -> Settings:
    """Check a whole tree, as a file or an ``apply`` holds it; *origin* names it in messages.

    Raises:
        SettingsError: With a line for each problem: ``"hookbus.toml: timeout_ms: expected …"``.
    """
    origins = Origins(origin) if isinstance(origin, str) else origin
    settings = parse(Settings, tree)
    problems = settings if isinstance(settings, tuple) else contradictions(settings)
    if isinstance(settings, tuple) or problems:
        raise SettingsError(origins.report(problems))
    settings._origins = origins
    return settings


def to_tree(settings: Settings) -> dict[str, Any]:
    """Return what was written, and nothing that was not: the tree that gives *settings* again."""
    return settings.model_dump(mode="json", by_alias=True, exclude_unset=True)


def contradictions(settings: Settings) -> tuple[Problem, ...]:
    """Find values that are right on their own and wrong together."""
    return tuple(_contradictions(settings))


def _contradictions(settings: Settings) -> Iterator[Problem]:
    yield from _not_above("timeout_ms", settings.timeout_ms, settings.max_timeout_ms)
    breaker = settings.breaker
    if breaker.open_ms > breaker.max_open_ms:
        message = f"expected at most max_open_ms = {breaker.max_open_ms}, got {breaker.open_ms}"
        yield Problem("breaker.open_ms", message)
    for plugin in settings.plugins:
        if plugin in RESERVED_NAMES:
            message = f"{plugin!r} is a name of the bus's own; choose another"
            yield Problem(join("plugins", plugin), message)
    for event_type, said in settings.types.items():
        if said.json_schema is not None:
            # a dispatcher could not load a generation with a schema that does not compile
            yield from check_schema(dict(said.json_schema), join("types", event_type, "schema"))
        limit = said.max_timeout_ms or settings.max_timeout_ms
        yield from _not_above(join("types", event_type, "timeout_ms"), said.timeout_ms, limit)


def _not_above(at: str, timeout_ms: int | None, max_timeout_ms: int) -> Iterator[Problem]:
    if timeout_ms is not None and timeout_ms > max_timeout_ms:
        yield Problem(at, f"expected at most max_timeout_ms = {max_timeout_ms}, got {timeout_ms}")
