"""What is asked of every contestant, and what each of its decisions must be."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

IN_FLIGHT: Final = 64
BLOCKER: Final = "p2"

#: The data of every event; with the envelope about 1 KB.
DATA: Final[dict[str, Any]] = {"text": "hookbus " * 110, "user": "u1", "marks": []}


class Scenario(NamedTuple):
    """One row of everything that is measured.

    Attributes:
        work: what the plugins do: ``validate`` and ``block`` are asked at once and answer Continue,
            or p2 a Block; ``mutate`` and ``patch`` are asked in a row, and each adds its mark.
        count: how many plugins there are.
        says: in the table.
    """

    work: str
    count: int
    says: str

    @property
    def plugins(self) -> list[str]:
        return [f"p{number}" for number in range(1, self.count + 1)]


SCENARIOS: Final = {
    "n=1": Scenario("validate", 1, "one plugin validates: Continue"),
    "n=3": Scenario("validate", 3, "three plugins validate, asked at once: Continue"),
    "n=10": Scenario("validate", 10, "ten plugins validate, asked at once: Continue"),
    "3 mutate": Scenario("mutate", 3, "three plugins mutate in a row, each by the whole payload"),
    "block": Scenario(
        "block", 3, f"three plugins validate, asked at once: {BLOCKER} answers Block"
    ),
    "patch": Scenario("patch", 3, "three plugins mutate in a row, each by a JSON Patch"),
}


class Answer(NamedTuple):
    """What a load checks of a decision.

    Attributes:
        outcome: ``continue``, ``intercept`` or ``block``.
        by: the plugin that blocked.
        marks: those in the changed data; None where nothing was changed.
    """

    outcome: str
    by: str | None = None
    marks: Any = None


def wanted(work: str, plugins: list[str]) -> Answer:
    """The only right decision."""
    if work == "validate":
        return Answer("continue")
    if work == "block":
        return Answer("block", BLOCKER)
    return Answer("intercept", None, plugins)
