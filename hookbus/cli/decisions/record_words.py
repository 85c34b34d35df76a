"""A plugin's record in words: what it said, what that came to, and its notes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hookbus.cli.printable import compact
from hookbus.models import PluginRecord

_RESOLUTIONS: Final = {
    "failed_open": "it failed, and was let pass: on_failure = open",
    "failed_closed": "it failed, and that blocks: on_failure = closed",
    "warned": "mode warn: what it said is only a warning",
    "skipped": "it was not asked",
    "discarded": "mode shadow: nobody waited for it, and what it said is discarded",
    "cached": "its answer to the same data was used again",
}

#: Notes of the rules, by their kind.
_NOTES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "self": lambda note: "not asked: the event is its own",
    "condition_false": lambda note: f"not asked: {note.get('condition', 'a condition')} is false",
    "breaker_open": lambda note: "not asked: it had failed too often, its breaker is open",
    "cache_hit": lambda note: "the cache had the answer",
    "shed": lambda note: "not asked: too many calls in mode warn",
    "extended": lambda note: f"it asked for {note.get('ms', '?')} ms more, and got them",
    "disallowed_op": lambda note: f"it may not write {note.get('path') or 'everything'}: left out",
    "reinvoked_changed": lambda note: "asked again, it changed something again",
    "dry_run_unsupported": lambda note: "it has side effects, and cannot take part in a dry run",
}


def said(record: PluginRecord) -> str:
    """``block``, or ``failed: timeout``, or ``not asked``"""
    if record.failure is not None:
        return f"failed: {record.failure}"
    if record.verdict is None:
        return "not asked"
    if record.verdict == "intercept" and not record.mutated:
        return "intercept, which changed nothing"
    return record.verdict


def resolution_in_words(record: PluginRecord) -> str:
    """Say what it came to; nothing where what it said simply counted."""
    if record.resolution == "enforced":
        return "it counts" if record.verdict == "block" else ""
    return _RESOLUTIONS.get(record.resolution, record.resolution)


def note_in_words(note: dict[str, Any]) -> str:
    """Say a note as a sentence; what a newer bus writes is shown as it is."""
    known = _NOTES.get(str(note.get("kind")))
    return known(note) if known is not None else compact(note)
