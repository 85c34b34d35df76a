"""The events that are emitted: each a function of the seed and its number. Pure."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, Final

from tests.model.strategies import DATA
from tests.model.values import Event
from tests.soak.behaviour import TYPE

SOURCE: Final = "/soak"
CHAINS: Final = (("zeal",), ("amend",), tuple("vwxyz"), tuple("uvwxyz"))
#: Milliseconds; with the short ones the budget cuts what plugins may take.
TIMEOUTS: Final = (*[2_000] * 16, *[1_000] * 8, 300, 150, 60)


def event_of(seed: int, number: int) -> Event:
    """Return what is emitted as event *number*."""
    random = Random(f"{seed}/event/{number}")
    data: dict[str, Any] = dict(random.choice(DATA[:1] * 6 + DATA))
    data["user"] = f"u{random.randrange(6)}"
    if random.random() < 0.5:
        data["text"] = "word " * random.randrange(200)
    if random.random() < 0.01:
        data["n"] = "one"  # which fits no schema
    return Event(
        id=str(number),
        data=data,
        timeout_ms=random.choice(TIMEOUTS),
        principal=random.choice(["chat"] * 8 + ["mail"] * 2 + ["amend"] * (random.random() < 0.2)),
        chain=random.choice(CHAINS) if random.random() < 0.03 else (),
        dry_run=random.random() < 0.06,
        type=TYPE,
        source=SOURCE,
    )


def with_other_content(event: Event) -> Event:
    """The same id for something else: a mistake of an emitter (R26)."""
    return replace(event, data={**event.data, "other": True})
