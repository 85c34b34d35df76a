"""What a check is: a point of the protocol, and a function that looks whether it is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hookbus.conformance.caller import Caller, Exchange
from hookbus.conformance.report import Finding, Seen, skipped
from hookbus.conformance.target import Hook

#: What the checks of one thing share: a hook's Probe, or the stage of an emitter.
P = TypeVar("P")


@dataclass(slots=True)
class Probe:
    """What the checks of one hook share.

    Attributes:
        replicas: that the registry saw; 0 is not known.
        asked: the valid calls so far, each of which wants one answer.
    """

    caller: Caller
    hook: Hook
    replicas: int = 0
    asked: list[Exchange] = field(default_factory=list)

    @property
    def first(self) -> Exchange:
        """The first valid call; checks that need ``answers`` find its answer here."""
        return self.asked[0]

    async def ask(self, **members: object) -> Exchange:
        """Make a valid call, wait for its verdict, and remember it."""
        exchange = await self.caller.ask(self.hook, **members)
        self.asked.append(exchange)
        return exchange


@dataclass(frozen=True, slots=True)
class Check(Generic[P]):
    """One point.

    Attributes:
        rule: what the protocol says, in a sentence.
        needs: points that must have passed, so that one mistake fails one point.
    """

    point: str
    rule: str
    look: Callable[[P], Awaitable[Seen]]
    needs: tuple[str, ...] = ("answers",)


async def run_checks(
    probe: P, checks: Sequence[Check[P]], *, hook: str | None = None
) -> list[Finding]:
    """Look at every point in order; what needs a point that did not pass is skipped.

    *hook* is whom the findings are about; None is the whole plugin, or an emitter.
    """
    findings: list[Finding] = []
    passed: set[str] = set()
    for check in checks:
        missing = next((point for point in check.needs if point not in passed), None)
        seen = await check.look(probe) if missing is None else skipped(f"needs {missing!r}")
        if seen.status == "pass":
            passed.add(check.point)
        findings.append(Finding(check.point, hook, seen.status, seen.text, check.rule))
    return findings
