"""Secret fields: their values never leave in a record, whoever quotes them (R28, L08). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from hookbus import patches
from hookbus.models import Decision, OtherBlock, PluginRecord
from hookbus.schemas.secret_values import MASK
from hookbus.wire.limits import CUT_MARK

SHORTEST: Final = 3  # characters; shorter values would blot out ordinary text
MOST: Final = 256  # values that are looked for one by one


def masked(decision: Decision, secrets: Iterable[Any]) -> Decision:
    """Return the decision with every text that quotes one of the *secrets* blotted out."""
    blotter = _Blotter(secrets)
    return blotter.decision(decision) if blotter.words else decision


def masked_record(record: PluginRecord, secrets: Iterable[Any]) -> PluginRecord:
    """Do to a record that stands alone what :func:`masked` does to those of a decision."""
    blotter = _Blotter(secrets)
    return blotter.record(record) if blotter.words else record


class _Blotter:
    def __init__(self, secrets: Iterable[Any]) -> None:
        # the longest first: one may hold another
        self.words = sorted(set(_words(secrets)), key=len, reverse=True)

    def decision(self, decision: Decision) -> Decision:
        return msgspec.structs.replace(
            decision,
            code=self.text(decision.code),
            reason=self.text(decision.reason),
            message=self.text(decision.message),
            warnings=tuple(map(self.required, decision.warnings)),
            conflicts=tuple(map(self.members, decision.conflicts)),
            others=tuple(map(self.other, decision.others)),
            records=tuple(map(self.record, decision.records)),
        )

    def required(self, text: str) -> str:
        if len(self.words) > MOST:  # looking for fifty thousand takes seconds: nothing is shown
            return MASK
        for word in self.words:
            text = text.replace(word, MASK)
        return self._without_beginnings(text) if CUT_MARK in text else text

    def _without_beginnings(self, text: str) -> str:
        """Blot what is left of a secret where its text was cut."""
        parts = text.split(CUT_MARK)
        for index, part in enumerate(parts[:-1]):
            begun = max((_length_begun(part, word) for word in self.words), default=0)
            if begun >= SHORTEST:
                parts[index] = part[:-begun] + MASK
        return CUT_MARK.join(parts)

    def text(self, text: str | None) -> str | None:
        return None if text is None else self.required(text)

    def members(self, note: dict[str, Any]) -> dict[str, Any]:
        """Blot a note or a conflict: a pointer in it may have a secret for a key."""
        return {
            name: self.required(value) if name == "path" else value for name, value in note.items()
        }

    def other(self, other: OtherBlock) -> OtherBlock:
        return msgspec.structs.replace(
            other,
            code=self.text(other.code),
            reason=self.required(other.reason),
            message=self.text(other.message),
        )

    def record(self, record: PluginRecord) -> PluginRecord:
        return msgspec.structs.replace(
            record,
            code=self.text(record.code),
            reason=self.text(record.reason),
            version=self.required(record.version),
            pointers=tuple(map(self.required, record.pointers)),
            notes=tuple(map(self.members, record.notes)),
            annotations={self.required(k): self.required(v) for k, v in record.annotations.items()},
        )


def _length_begun(text: str, word: str) -> int:
    """How many characters of *word* stand at the end of *text*."""
    longest = min(len(text), len(word))
    return next((n for n in range(longest, 0, -1) if text.endswith(word[:n])), 0)


def _words(values: Iterable[Any]) -> Iterator[str]:
    """Yield each way in which one of *values*, or a part of it, may be quoted."""
    for value in _scalars(values):
        word = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if len(word) >= SHORTEST:
            yield word
            yield repr(word)[1:-1]
            yield json.dumps(word)[1:-1]
            yield json.dumps(word, ensure_ascii=False)[1:-1]
            yield patches.pointer((word,))[1:]


def _scalars(values: Iterable[Any]) -> Iterator[str | int | float]:
    for value in values:
        if isinstance(value, dict):
            yield from _scalars(value)  # its keys: they are as secret as what stands there
            yield from _scalars(value.values())
        elif isinstance(value, list):
            yield from _scalars(value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield value
