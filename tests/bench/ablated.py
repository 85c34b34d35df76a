"""`hookbus`, of whose dispatcher the circuit breaker was taken out: what does it cost?

python -m tests.bench.ablated serve dispatcher …
"""

from __future__ import annotations

from hookbus.cli import main
from hookbus.dispatch.asking import Asking
from hookbus.dispatch.breaker import Breakers
from hookbus.dispatch.task import Task
from hookbus.snapshot import Binding


def known(self: Breakers, binding: Binding) -> None:
    return None


def learn(self: Asking, task: Task, asked: object, sent: float) -> None:
    pass


if __name__ == "__main__":
    Breakers.known = known  # type: ignore[method-assign]
    Asking._learn = learn  # type: ignore[method-assign]
    main()
