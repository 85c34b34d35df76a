"""One generation of the configuration, immutable: bindings, types, limits. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec

from hookbus import subjects
from hookbus.catalog import Catalog, TypeSettings
from hookbus.errors import HookbusError
from hookbus.models import Mode, OnFailure, Phase
from hookbus.wire.call import call_target

MAX_DOCUMENT_BYTES: Final = 512 * 1024  # compressed


class Binding(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One hook of one plugin as the operator has it.

    Attributes:
        type: the event type, or a pattern of them.
        timeout_ms, min_ms: milliseconds.
        origin: ``announcement`` when nothing but the plugin's own word binds it, else ``settings``.
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
    max_reply_bytes: int = 262_144
    origin: str = "announcement"

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
    def subject(self) -> str:
        """Where the plugin's replicas listen for this hook."""
        return subjects.call(self.plugin, self.hook)

    @cached_property
    def target(self) -> bytes:
        """The part of a call that is the same for every event."""
        return call_target(self.plugin, self.hook, self.phase)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's limits; times in milliseconds, sizes in bytes."""

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


class ConfigDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry writes and every dispatcher reads."""

    v: int = 1
    bindings: tuple[Binding, ...] = ()
    types: dict[str, TypeSettings] = {}
    limits: Limits = Limits()


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

    @classmethod
    def of(cls, generation: int, document: ConfigDocument) -> Snapshot:
        """Compile a document."""
        return cls(generation, document.bindings, Catalog(document.types), document.limits)

    def hooks_for(self, event_type: str) -> list[Binding]:
        """Return the bindings that ask for *event_type*, those that are off left out."""
        return [
            b
            for b in self.bindings
            if b.mode != "off" and subjects.type_matches(b.type, event_type)
        ]
