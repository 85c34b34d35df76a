"""How far observers are, in words: what waits, what is a dead letter, what was never delivered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hookbus.cli.printable import clean

#: Seconds after which an event that waits is worth a word; before, it is on its way.
OLD: Final = 60.0
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


def observer_lines(plugin: dict[str, Any], *, is_full: bool = False) -> Iterator[str]:
    """Say of each observing hook what an operator should know; if *is_full*, all of it."""
    for hook in plugin["hooks"]:
        if (state := hook.get("observer")) is not None:
            said = list(_said(plugin["plugin"], hook, state, is_full=is_full))
            if said:
                yield clean(f"{plugin['plugin']}/{hook['name']}: {'; '.join(said)}")


def _said(
    plugin: str, hook: dict[str, Any], state: dict[str, Any], *, is_full: bool
) -> Iterator[str]:
    waiting, oldest = state["waiting"], state["oldest_s"] or 0.0
    if waiting and (is_full or oldest >= OLD or hook["mode"] == "off"):
        paused = ", paused by its mode" if hook["mode"] == "off" else ""
        yield f"{waiting} waiting, the oldest for {age(oldest)}{paused}"
    elif is_full:
        yield "nothing waits"
    if letters := state["letters"]:
        noun = "dead letter" if letters == 1 else "dead letters"
        yield f"{letters} {noun}, see 'hookbus dlq --plugin {plugin}'"
    if lost := discards(state):
        yield f"{lost} never delivered: the stream's limits took them (streams.OBSERVE)"


def discards(state: dict[str, Any]) -> str:
    """How many events an observer never had: ``""``, ``"5"``, ``"up to 5"``."""
    count = state["discarded"]
    return f"{'' if state['discarded_exact'] else 'up to '}{count}" if count else ""


def age(seconds: float) -> str:
    """``90.0 → "1m"``"""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"
