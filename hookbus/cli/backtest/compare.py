"""What a candidate said about an input beside what its incumbent said about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from hookbus.models import PluginRecord

Kind: TypeAlias = Literal["same", "verdict", "patch", "reason", "failure", "incumbent_failure"]

#: Kinds of difference in the order in which they are shown, and what each means.
KINDS: Final[Mapping[Kind, str]] = {
    "same": "both said the same",
    "verdict": "one let pass, changed or blocked what the other did not",
    "patch": "both changed the data, and not alike",
    "reason": "both blocked, with another code or reason",
    "failure": "the candidate failed",
    "incumbent_failure": "the incumbent failed",
}

_SIDE_EFFECTS: Final = "it has side effects, and cannot take part in a dry run"
#: Kinds of notes → why a hook was not asked, though the event is one for it.
_UNASKED: Final = {
    "dry_run_unsupported": _SIDE_EFFECTS,
    "breaker_open": "its breaker was open",
    "shed": "too many calls were running",
}
_OUT_OF_SCOPE: Final = ("condition_false", "self")


class Comparison(NamedTuple):
    """*kind* is None where there is nothing to compare: *why* says so."""

    kind: Kind | None
    why: str = ""


def compare(incumbent: PluginRecord, candidate: PluginRecord) -> Comparison:
    """Compare two records of the same input; a hook that its conditions spare lets pass."""
    for record in (candidate, incumbent):
        if why := _unasked(record):
            return Comparison(None, f"{record.plugin}: {why}")
    if _is_spared(incumbent) and _is_spared(candidate):
        return Comparison(None, "the conditions of both spare it")
    return Comparison(_kind(incumbent, candidate))


def effect(record: PluginRecord) -> str:
    """``continue``, ``intercept`` or ``block``: an Intercept that changes nothing is none."""
    if record.verdict == "intercept" and record.pointers:
        return "intercept"
    return "block" if record.verdict == "block" else "continue"


def _kind(incumbent: PluginRecord, candidate: PluginRecord) -> Kind:
    if candidate.failure is not None:
        return "failure"
    if incumbent.failure is not None:
        return "incumbent_failure"
    if effect(incumbent) != effect(candidate):
        return "verdict"
    if effect(incumbent) == "intercept" and incumbent.patch_hash != candidate.patch_hash:
        return "patch"
    said = (incumbent.code, incumbent.reason), (candidate.code, candidate.reason)
    if effect(incumbent) == "block" and said[0] != said[1]:
        return "reason"
    return "same"


def _unasked(record: PluginRecord) -> str | None:
    notes = [_UNASKED[note["kind"]] for note in record.notes if note.get("kind") in _UNASKED]
    if notes:
        return notes[0]
    if record.failure == "timeout" and record.attempt == 0:
        return "the event's time was over before its turn"
    return None


def _is_spared(record: PluginRecord) -> bool:
    """Its conditions did not hold, or the event is its own."""
    return record.verdict is None and any(n.get("kind") in _OUT_OF_SCOPE for n in record.notes)
