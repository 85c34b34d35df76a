"""What became of the recorded inputs: counts, and what differs. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hookbus.cli.backtest.compare import KINDS, Kind
from hookbus.cli.errors import DONE, FOUND, UNDECIDED
from hookbus.models import EventRef, PluginRecord


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One input about which the two do not say the same.

    Attributes:
        event: as it was recorded.
        decision: what was decided about it then, by its id.
        asked_again: the id of the dry run's decision, for `hookbus decisions explain`.
    """

    kind: Kind
    event: EventRef
    decision: str
    asked_again: str
    incumbent: PluginRecord
    candidate: PluginRecord


@dataclass(slots=True)
class Tally:
    """What became of the inputs so far.

    Attributes:
        inputs: how many were read.
        kinds: of the pairs of hooks that could be compared.
        not_asked: those that could not, by why.
        masked: inputs with secret fields that were masked when they were recorded.
        left_out: inputs beyond the limit.
        seconds: how long it took.
    """

    inputs: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    not_asked: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    masked: int = 0
    left_out: bool = False
    is_interrupted: bool = False
    seconds: float = 0.0

    @property
    def compared(self) -> int:
        return self.kinds.total()

    @property
    def exit_code(self) -> int:
        """All the same; or something differs; or nothing could be asked."""
        if self.differences:
            return FOUND
        return DONE if self.compared else UNDECIDED

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs,
            "compared": self.compared,
            "kinds": {kind: self.kinds[kind] for kind in KINDS},
            "not_asked": dict(self.not_asked.most_common()),
            "masked": self.masked,
            "left_out": self.left_out,
            "interrupted": self.is_interrupted,
            "seconds": round(self.seconds, 3),
            "differences": msgspec.to_builtins(self.differences),
        }
