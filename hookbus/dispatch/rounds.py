"""Which mutating plugins are asked in which round (R11, R12). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hookbus.snapshot import Binding


class Rounds:
    """Keeps who was asked and who changed the payload since.

    A plugin has a turn again only if it wants one (``reinvoke = "if_needed"``), had one in an
    earlier round, and *another* plugin changed the payload after it; that is judged when its turn
    comes. A round never asks a plugin for the first time.
    """

    __slots__ = ("_bindings", "_changes", "_judged", "_max_rounds", "_wanting", "number")

    def __init__(self, bindings: tuple[Binding, ...], max_rounds: int) -> None:
        self.number = 1
        self._bindings = bindings
        self._wanting = [(i, b) for i, b in enumerate(bindings) if b.reinvoke == "if_needed"]
        self._max_rounds = max_rounds
        self._changes: list[str] = []  # plugins that changed the payload, in order
        self._judged: dict[int, int] = {}  # per index of a binding: changes known at its last turn

    def turns(self) -> Iterator[tuple[int, Binding]]:
        """Yield index and binding of each turn; the number of the round is :attr:`number`."""
        for index, binding in enumerate(self._bindings):
            yield index, binding
        while self._wanting and self.number < self._max_rounds and self._any_is_due():
            self.number += 1
            for index, binding in self._wanting:
                if self._is_due(index, binding):
                    yield index, binding

    def asked(self, index: int) -> None:
        """The binding at *index* has just had its turn on the payload as it stands."""
        self._judged[index] = len(self._changes)

    def not_asked(self, index: int) -> None:
        """Its conditions did not hold: what it did not want to see is judged too."""
        if index in self._judged:
            self._judged[index] = len(self._changes)

    def changed(self, index: int) -> None:
        """The binding at *index* changed the payload in its turn."""
        self._changes.append(self._bindings[index].plugin)

    def unsettled(self) -> list[Binding]:
        """After the last permitted round: who would have to be asked again (R12).

        A hook under `warn` is not among them: whatever it would say, the payload stays (R15).
        """
        return [b for i, b in self._wanting if b.mode == "enforce" and self._is_due(i, b)]

    def _any_is_due(self) -> bool:
        return any(self._is_due(i, b) for i, b in self._wanting)

    def _is_due(self, index: int, binding: Binding) -> bool:
        judged = self._judged.get(index)
        if judged is None:
            return False
        return any(plugin != binding.plugin for plugin in self._changes[judged:])
