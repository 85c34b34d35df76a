"""Whether every event that fitted one schema fits another. Pure.

Does the new schema follow from the old one (`following`)? Where it does not seem to, is there an
event that fitted and fits no more? Such an event is a proof; without one nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

import msgspec

from hookbus.schemas.alone import Finding
from hookbus.schemas.compiled import compile_schema, escape
from hookbus.schemas.facts import Part
from hookbus.schemas.following import Following, TooMuch
from hookbus.schemas.places import Schema, every

Verdict: TypeAlias = Literal["compatible", "refuses", "unknown"]

MAX_CHANGES: Final = 50  # that are told
MAX_TRIED: Final = 32  # events that one of them may be tried with
MAX_TRIED_IN_ALL: Final = 200
MAX_EVENT_BYTES: Final = 2_000  # of an event that is shown


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a schema says and did not say before.

    Attributes:
        pointer: where it stands in the new schema.
        verdict: ``refuses`` if an event is known that fits no more, else ``unknown``.
        event: the data of such an event, unless it is long.
    """

    pointer: str
    message: str
    verdict: Verdict
    event: Any = msgspec.field(default=msgspec.UNSET)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What another schema means for those who send events.

    Attributes:
        verdict: ``compatible``: every event that fitted still fits. ``refuses``: one is known that
            does not. ``unknown``: nobody can tell.
    """

    verdict: Verdict
    changes: tuple[Change, ...] = ()


COMPATIBLE: Final = Comparison(verdict="compatible")


def compare(old: Schema | None, new: Schema | None) -> Comparison:
    """Compare two schemas that compile; None is any JSON."""
    before, after = _schema(old), _schema(new)
    trial = _Trial(before, after)
    changes = [trial.of(finding) for finding in _findings(before, after)[:MAX_CHANGES]]
    if not changes:
        return COMPATIBLE
    if all(change.verdict == "unknown" for change in changes):
        changes += _lost_examples(before, trial)
    # a proof first: it is what matters
    changes.sort(key=lambda change: change.verdict != "refuses")
    return Comparison(verdict=changes[0].verdict, changes=tuple(changes))


def _schema(schema: Schema | None) -> Schema:
    return True if schema is None else schema


def _findings(old: Schema, new: Schema) -> list[Finding]:
    try:
        if _has_bases(old) or _has_bases(new):
            whole = [Finding("", "an `$id` inside is not followed by this check")]
            return [] if msgspec.json.encode(old) == msgspec.json.encode(new) else whole
        return Following().findings((Part(old, "", old),), Part(new, "", new))
    except TooMuch:
        return [Finding("", "the schemas are too large to be compared")]
    except ValueError as e:
        return [Finding("", f"the schemas cannot be compared: {str(e).splitlines()[0]}")]


def _has_bases(schema: Schema) -> bool:
    """Tell whether references inside mean something else than those outside."""
    inside = (place.schema for place in every(schema) if place.pointer)
    return any(isinstance(one, Mapping) and "$id" in one for one in inside)


class _Trial:
    """Tries events with both schemas."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = compile_schema(old)
        self._new = compile_schema(new)
        self._left = MAX_TRIED_IN_ALL

    def of(self, finding: Finding) -> Change:
        proof = next(filter(self.is_lost, self._tried(finding)), msgspec.UNSET)
        return _change(finding.pointer, finding.message, proof)

    def _tried(self, finding: Finding) -> Iterator[Any]:
        for data in islice(finding.tried(), min(MAX_TRIED, self._left)):
            self._left -= 1
            yield data

    def is_lost(self, data: Any) -> bool:
        """Tell whether *data* fitted and fits no more."""
        return bool(self._old.is_valid(data)) and not self._new.is_valid(data)

    def first_wrong(self, data: Any) -> str:
        violation = next(iter(self._new.iter_errors(data)))
        return "".join(f"/{escape(token)}" for token in violation.schema_path)


def _lost_examples(old: Schema, trial: _Trial) -> Iterator[Change]:
    examples = old.get("examples", ()) if isinstance(old, Mapping) else ()
    for index, example in enumerate(examples):
        if trial.is_lost(example):
            said = f"example {index + 1} of the schema in force fits no more"
            yield _change(trial.first_wrong(example), said, example)


def _change(pointer: str, message: str, proof: Any) -> Change:
    if proof is msgspec.UNSET:
        return Change(pointer=pointer, message=message, verdict="unknown")
    is_short = len(msgspec.json.encode(proof)) <= MAX_EVENT_BYTES
    event = proof if is_short else msgspec.UNSET
    return Change(pointer=pointer, message=message, verdict="refuses", event=event)
