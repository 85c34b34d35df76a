"""One generation of the configuration, immutable: bindings, types, limits. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec

from hookbus import subjects
from hookbus.catalog import Catalog, TypeSettings
from hookbus.conditions import Condition
from hookbus.errors import HookbusError
from hookbus.models import Mode, OnFailure, Phase
from hookbus.wire.call import call_target

MAX_DOCUMENT_BYTES: Final = 512 * 1024  # compressed


class Binding(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One hook of one plugin as the operator has it.

    Attributes:
        type: the event type, or a pattern of them.
        timeout_ms, min_ms, cache_ttl_ms, max_extension_ms: milliseconds.
        when: CEL conditions; all must hold.
        writable, rewrites, cache_key: JSON Pointers into the data.
        mode_until: seconds since the epoch at which an operator's mode is over, and it is
            ``mode_then``; None has no end.
        origin: who binds it: ``settings``, an operator's ``approval``, or nothing but the
            plugin's own ``announcement``.
        candidate_of: the plugin beside which this one is tried out.
    """

    plugin: str
    hook: str
    version: str
    type: str
    phase: Phase
    priority: int = 100
    timeout_ms: int = 200
    min_ms: int = 50
    on_failure: OnFailure = "closed"
    mode: Mode = "enforce"
    mode_until: float | None = None
    mode_then: Mode = "enforce"
    reinvoke: str = "never"
    side_effects: str = "none"
    when: tuple[str, ...] = ()
    writable: tuple[str, ...] = ("",)
    rewrites: tuple[str, ...] = ()
    disallow: str = "error"
    cache_ttl_ms: int = 0
    cache_key: tuple[str, ...] = ()
    retry: int = 0
    max_reply_bytes: int = 262_144
    max_extension_ms: int = 0
    origin: str = "announcement"
    candidate_of: str | None = None

    @cached_property
    def timeout(self) -> float:
        return self.timeout_ms / 1000

    @cached_property
    def min_time(self) -> float:
        return self.min_ms / 1000

    @cached_property
    def is_closed(self) -> bool:
        return self.on_failure == "closed"

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """``when``, compiled."""
        return tuple(map(Condition, self.when))

    @cached_property
    def is_plain(self) -> bool:
        """Nothing but the event's time and the breaker can keep it from being called."""
        return self.mode == "enforce" and not self.when and not self.cache_ttl_ms

    @cached_property
    def is_restricted(self) -> bool:
        """Some of the data is not this plugin's to write."""
        return self.writable != ("",)

    @cached_property
    def subject(self) -> str:
        """Where the plugin's replicas listen for this hook."""
        return subjects.call(self.plugin, self.hook)

    @cached_property
    def target(self) -> bytes:
        """The part of a call that is the same for every event."""
        return call_target(self.plugin, self.hook, self.phase)


class BreakerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens, and for how long."""

    failures: int = 5
    open_ms: int = 1_000
    max_open_ms: int = 30_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's limits; times in milliseconds, sizes in bytes.

    Attributes:
        observe: events are published for observers also where there is none.
        audit: a decision is answered only after its record is stored.
        record_payload: what is kept of the events of types that say nothing themselves.
        trace_sampling: share of the traces that begin in the dispatcher, 0 … 1.
    """

    timeout_ms: int = 1_000
    max_timeout_ms: int = 30_000
    ready_timeout_ms: int = 2_000
    max_event_bytes: int = 512 * 1024
    max_depth: int = 5
    max_in_flight: int = 1_024
    max_plugins: int = 64
    patch_max_ops: int = 256
    patch_max_growth: float = 4.0
    observe: bool = False
    audit: bool = False
    idempotency: bool = True
    record_payload: str = "none"
    trace_sampling: float = 0.01
    breaker: BreakerLimits = BreakerLimits()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Who made a generation, when (for people to read), and by what."""

    by: str
    at: str
    what: str


class ConfigDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry writes and every dispatcher reads.

    Attributes:
        settings: the applied settings as JSON, which are the registry's to read; null: none yet.
        made: is no part of what is configured.
    """

    v: int = 1
    bindings: tuple[Binding, ...] = ()
    types: dict[str, TypeSettings] = {}
    limits: Limits = Limits()
    settings: msgspec.Raw = msgspec.Raw(b"null")
    made: Change | None = None


def encode_document(document: ConfigDocument) -> bytes:
    """Encode and compress; equal documents give equal bytes.

    Raises:
        HookbusError: Too large; both sizes are named.
    """
    encoded = zlib.compress(msgspec.json.encode(document, order="deterministic"), level=6)
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise HookbusError(
            f"the configuration takes {len(encoded)} bytes compressed, at most {MAX_DOCUMENT_BYTES}"
        )
    return encoded


def decode_document(encoded: bytes) -> ConfigDocument:
    """Undo :func:`encode_document`."""
    return msgspec.json.decode(zlib.decompress(encoded), type=ConfigDocument)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A generation as dispatching uses it; one event uses exactly one (R16)."""

    generation: int
    bindings: tuple[Binding, ...]
    catalog: Catalog
    limits: Limits
    plugins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, generation: int, document: ConfigDocument) -> Snapshot:
        """Compile a document, its conditions and schemas too: the first event must not wait."""
        for binding in document.bindings:
            _ = binding.conditions
        plugins = frozenset(binding.plugin for binding in document.bindings)
        catalog = Catalog(document.types)
        return cls(generation, document.bindings, catalog, document.limits, plugins)

    def is_bound(self, plugin: str) -> bool:
        """Tell whether a plugin of that name has a binding."""
        return plugin in self.plugins

    def hooks_for(self, event_type: str) -> list[Binding]:
        """Return the bindings that ask for *event_type*, those that are off left out."""
        return [
            b
            for b in self.bindings
            if b.mode != "off" and subjects.type_matches(b.type, event_type)
        ]


def next_lapse(document: ConfigDocument) -> float | None:
    """When the next mode of an operator is over, in seconds since the epoch."""
    return min((b.mode_until for b in document.bindings if b.mode_until), default=None)


def lapsed(document: ConfigDocument, now: float) -> ConfigDocument:
    """Take back the modes that are over."""
    bindings = [
        msgspec.structs.replace(b, mode=b.mode_then, mode_until=None)
        if b.mode_until is not None and b.mode_until <= now
        else b
        for b in document.bindings
    ]
    return msgspec.structs.replace(document, bindings=tuple(bindings))


def is_same(one: ConfigDocument, other: ConfigDocument) -> bool:
    """Tell whether two documents configure the same, whoever made them."""
    return msgspec.structs.replace(one, made=None) == msgspec.structs.replace(other, made=None)


def is_document(encoded: bytes) -> bool:
    """Tell whether a registry wrote *encoded*, of whatever version: compressed JSON."""
    try:
        # a Raw member is not looked into further than that it is JSON; decode() checks the text
        text = zlib.decompress(encoded).decode()
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, ValueError, zlib.error):
        return False
    return True
