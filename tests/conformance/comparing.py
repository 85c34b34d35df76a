"""What happened, in the words of the table, and how it differs from what was expected. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from hookbus import patches
from hookbus.models import Decision

#: In an expected text: anything.
WILDCARD = "…"


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Name each key whose value is not as expected."""
    return [
        f"{key}: expected {expected[key]!r}, got {found[key]!r}"
        for key in expected
        if not is_alike(expected[key], found[key])
    ]


def is_alike(expected: Any, found: Any) -> bool:
    """Compare as JSON, texts with wildcards; an expectation may be an object with its own ==."""
    if isinstance(expected, str):
        parts = map(re.escape, expected.split(WILDCARD))
        return isinstance(found, str) and bool(re.fullmatch(".*".join(parts), found, re.DOTALL))
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and expected.keys() == found.keys()
            and all(is_alike(value, found[key]) for key, value in expected.items())
        )
    if isinstance(expected, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(expected) == len(found)
            and all(map(is_alike, expected, found))
        )
    if isinstance(expected, int | float | None):
        return patches.equal(expected, found)
    return bool(expected == found)


def summary(decision: Mapping[str, Any]) -> str:
    """``"block failure/timeout by a"``, ``"continue degraded"``"""
    words = [decision["outcome"]]
    if decision["cause"]:
        words.append(_slashed(decision["cause"], decision["code"]))
    if decision["by"]:
        words.append(f"by {decision['by']}")
    if decision["degraded"]:
        words.append("degraded")
    return " ".join(words)


def of_decision(decision: Decision) -> dict[str, Any]:
    """Everything that an emit may be compared with, but for its times."""
    raw = to_json(decision)
    records = raw["records"]
    return {
        "expect": summary(raw),
        "reason": raw["reason"],
        "message": raw["message"],
        "reasons": {r["plugin"]: r["reason"] for r in records if r["reason"] is not None},
        "records": list(map(record_line, records)),
        "data": decision.data,
        "warnings": raw["warnings"],
        "conflicts": [f"{c['path']}: {c['winner']} over {c['loser']}" for c in raw["conflicts"]],
        "others": [f"{_slashed(o['cause'], o['code'])} by {o['by']}" for o in raw["others"]],
        "masked": raw["masked"],
        "trace": raw["trace_id"],
        "hashes": {r["plugin"]: r["patch_hash"] for r in records if r["patch_hash"]},
        "took": {r["plugin"]: r["ms"] for r in records},
        "annotations": {r["plugin"]: r["annotations"] for r in records if r["annotations"]},
    }


def record_line(record: Mapping[str, Any]) -> str:
    """``"a intercept enforced mutated /x round 2 [reinvoked_changed]"``; defaults are left out."""
    name = record["plugin"] if record["hook"] == "hook" else f"{record['plugin']}.{record['hook']}"
    words = [name, record["verdict"] or record["failure"] or "-", record["resolution"]]
    if record["mode"] != "enforce":
        words.append(record["mode"])
    if record["mutated"]:
        words.append("mutated " + " ".join(pointer or '""' for pointer in record["pointers"]))
    if record["round"] != 1:
        words.append(f"round {record['round']}")
    if record["attempt"] != 1:
        words.append(f"attempt {record['attempt']}")
    words.extend(f"[{_note(note)}]" for note in record["notes"])
    return " ".join(words)


def shadow_line(record: Mapping[str, Any]) -> str:
    """A shadow record with its reason: ``"a block discarded shadow: no"``"""
    reason = record["reason"]
    return f"{record_line(record)}: {reason}" if reason else record_line(record)


def call_line(calls: Sequence[Mapping[str, Any]], beside: Iterable[str]) -> str:
    """Name who was called: mutators in order, then the rest by name, for they are asked at once.

    Plugins *beside* the stages (shadow) are with the rest.
    """
    ordered = [c["plugin"] for c in calls if c["phase"] == "mutate" and c["plugin"] not in beside]
    rest = [c["plugin"] for c in calls if c["phase"] != "mutate" or c["plugin"] in beside]
    return " ".join(
        name if count == 1 else f"{name}*{count}"
        for name, count in _repeats([*ordered, *sorted(rest)])
    )


def to_json(decision: Decision) -> dict[str, Any]:
    """A decision as it is on the wire."""
    raw: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(decision))
    return raw


def _repeats(names: Sequence[str]) -> list[tuple[str, int]]:
    """``a a b`` → ``(a, 2) (b, 1)``"""
    return [(name, len(list(group))) for name, group in groupby(names)]


def _note(note: Mapping[str, Any]) -> str:
    details = [str(value) for key, value in note.items() if key not in ("kind", "index")]
    return ": ".join([note["kind"], *details])


def _slashed(cause: str, code: str | None) -> str:
    return f"{cause}/{code}" if code else cause
