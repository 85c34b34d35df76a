"""How dispatching is observed: who sees what, and under which names. Pure."""

from __future__ import annotations

from typing import Protocol

from hookbus.models import Decision
from hookbus.wire.event import Inbound


class Observer(Protocol):
    """Sees every dispatch; the only place where anything is measured."""

    def on_start(self, inbound: Inbound) -> None:
        """A checked event is about to be matched."""

    def on_decision(self, inbound: Inbound, decision: Decision, seconds: float) -> None:
        """The decision is made, *seconds* after the event came in."""
