"""What each event must become: a function of its number, which the plugins and the judge share."""

from __future__ import annotations

from typing import Any, Final

from hookbus.models import Decision, PluginRecord

TYPE: Final = "number_drawn"
PLUGINS: Final = ("shift", "echo", "sieve")
HOOK: Final = "number-drawn"

#: Production settings: only what is named here is bound, all of it failing closed.
SETTINGS: Final[dict[str, Any]] = {
    "mode": "production",
    "types": {TYPE: {}},
    "plugins": {
        "shift": {"hooks": {HOOK: {"type": TYPE, "phase": "mutate", "timeout_ms": 5_000}}},
        "echo": {"hooks": {HOOK: {"type": TYPE, "phase": "validate", "timeout_ms": 5_000}}},
        "sieve": {"hooks": {HOOK: {"type": TYPE, "phase": "validate", "timeout_ms": 5_000}}},
    },
}

#: That fit on a small disk, and hold what a test writes.
SMALL_STREAMS: Final = {
    name: {"max_bytes": size * 1024 * 1024}
    for name, size in {"DECISIONS": 12, "OBSERVE": 12, "INPUTS": 1, "DLQ": 1}.items()
}
#: Writes the id of each event that it observes to a file.
OBSERVER: Final = "watch"


def without_observer(timeout_ms: int) -> dict[str, Any]:
    """The settings with other timeouts of the plugins."""
    hooks = {
        p: {**SETTINGS["plugins"][p]["hooks"][HOOK], "timeout_ms": timeout_ms} for p in PLUGINS
    }
    return {**SETTINGS, "plugins": {name: {"hooks": {HOOK: hook}} for name, hook in hooks.items()}}


def observed(timeout_ms: int) -> dict[str, Any]:
    """The same, with an observer."""
    made = without_observer(timeout_ms)
    observer = {"hooks": {HOOK: {"type": TYPE, "phase": "observe"}}}
    return {**made, "plugins": {**made["plugins"], OBSERVER: observer}}


def is_blocked(number: int) -> bool:
    return number % 3 == 0


def is_shifted(number: int) -> bool:
    return number % 3 == 1


def shift(number: int) -> int:
    return number * 7


def data_of(number: int) -> dict[str, Any]:
    """The data that is emitted."""
    return {"number": number}


def final_data(number: int) -> dict[str, Any]:
    """The data after all mutate plugins."""
    return {"number": number, **({"shifted": shift(number)} if is_shifted(number) else {})}


def wanted(number: int) -> dict[str, Any]:
    """The whole decision about an event, but for what is another each time."""
    shifted, blocked = is_shifted(number), is_blocked(number)
    return {
        "event": str(number),
        "outcome": "block" if blocked else "intercept" if shifted else "continue",
        "cause": "verdict" if blocked else None,
        "code": "third" if blocked else None,
        "reason": f"sieve: {number} is a multiple of three" if blocked else None,
        "data": None if blocked else final_data(number),
        "degraded": False,
        "records": [
            _record("shift", "mutate", "intercept" if shifted else "continue", {}),
            _record("echo", "validate", "continue", _echoed(number)),
            _record("sieve", "validate", "block" if blocked else "continue", {}),
        ],
    }


def is_refusal(decision: Decision) -> bool:
    """Tell whether a failure ended it, and nothing but failures is otherwise than it must be."""
    right = {r[0]: r for r in wanted(int(decision.event.id))["records"]}
    return (
        decision.outcome == "block"
        and decision.cause in ("failure", "limit")
        and all(r.failure or _as_found(r) == right[r.plugin] for r in decision.records)
    )


def found(decision: Decision) -> dict[str, Any]:
    """The same of a decision that was made."""
    return {
        "event": decision.event.id,
        "outcome": decision.outcome,
        "cause": decision.cause,
        "code": decision.code,
        "reason": decision.reason,
        "data": decision.data,
        "degraded": decision.degraded,
        "records": [_as_found(r) for r in decision.records],
    }


def _as_found(r: PluginRecord) -> tuple[Any, ...]:
    return (r.plugin, r.phase, r.verdict, r.failure, r.resolution, r.attempt, r.annotations)


def _echoed(number: int) -> dict[str, str]:
    """What a validate plugin saw: the final data."""
    return {key: str(value) for key, value in final_data(number).items()}


def _record(plugin: str, phase: str, verdict: str, annotations: dict[str, str]) -> tuple[Any, ...]:
    return (plugin, phase, verdict, None, "enforced", 1, annotations)
