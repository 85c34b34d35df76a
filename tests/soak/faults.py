"""What was done to whom, and when: the only explanations for what no plugin meant to do."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

EVERYBODY: Final = "*"
#: Seconds for which a fault is felt after its end: breakers, calls that wait, processes that start.
AFTER: Final = 3.0


@dataclass
class Fault:
    """One disturbance of *target*: a plugin, ``dispatcher``, or everybody. Monotonic seconds."""

    kind: str
    target: str
    began: float
    ended: float | None = None

    def covers(self, began: float, ended: float) -> bool:
        return self.began <= ended and (self.ended is None or began <= self.ended + AFTER)


@dataclass
class Faults:
    """All disturbances so far."""

    found: list[Fault] = field(default_factory=list)

    def begin(self, kind: str, target: str) -> Fault:
        fault = Fault(kind, target, time.monotonic())
        self.found.append(fault)
        return fault

    @staticmethod
    def end(fault: Fault) -> None:
        fault.ended = time.monotonic()

    def touched(self, target: str, began: float, ended: float) -> bool:
        """Tell whether anything was done to *target* that an emit in that time can feel."""
        return any(
            fault.target in (target, EVERYBODY) and fault.covers(began, ended)
            for fault in reversed(self.found[-200:])
        )

    def counts(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.found)
