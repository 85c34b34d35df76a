"""Circuit breakers: stop calling what fails, one per plugin and mode (R20, R21). Pure.

A breaker decides only whether a call is made. It never changes what a failure counts as.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from hookbus.models import FailureClass
from hookbus.snapshot import Binding, BreakerLimits

State: TypeAlias = Literal["closed", "open", "half_open"]

#: What counts against a plugin. A Block is a healthy answer; and never asked is not failed.
FAILURES: Final[frozenset[FailureClass]] = frozenset(
    (
        "timeout",
        "service_error",
        "overloaded",
        "malformed",
        "uid_mismatch",
        "unknown_verdict",
        "phase_violation",
        "reply_too_large",
        "bad_patch",
        "forbidden_write",
    )
)


REMEMBERED: Final = 4_096  # plugins that announced themselves last


class Breaker:
    """One breaker; *now* is the caller's monotonic clock in seconds.

    Attributes:
        last: the failure that counted last.
    """

    __slots__ = (
        "_failures",
        "_limits",
        "_opened_for",
        "_probed_at",
        "_probing",
        "_until",
        "last",
        "state",
    )

    def __init__(self, limits: BreakerLimits) -> None:
        self.state: State = "closed"
        self.last: FailureClass | None = None
        self._limits = limits
        self._failures = 0
        self._opened_for = 0.0
        self._until = 0.0
        self._probing = False
        self._probed_at = 0.0

    def admit(self, now: float) -> bool:
        """Tell whether a call may be made; half-open lets exactly one probe through."""
        if self.state == "closed":
            return True
        if self.state == "open" and now >= self._until:
            self.state = "half_open"
        if self.state == "half_open" and not self._probing:
            self._probing = True
            self._probed_at = now
            return True
        return False

    def record(
        self, failure: FailureClass | None, is_shortened: bool, now: float, sent: float
    ) -> None:
        """Take the result of a call made at *sent*.

        *is_shortened*: the budget, not the plugin, ended it. Once open, only the probe counts: what
        was asked before says nothing new, and must neither close the breaker nor open it longer.
        """
        if self.state != "closed":
            if not self._probing or sent < self._probed_at:
                return
            self._probing = False
        if failure is None:
            self._close()
        elif failure in FAILURES and not (failure == "timeout" and is_shortened):
            self._failures += 1
            self.last = failure
            if self.state == "half_open" or self._failures >= self._limits.failures:
                self._open(now)

    def announced(self) -> None:
        """A new instance may be healthy: let one call find out at once.

        A probe on its way went to the old one, and is not waited for.
        """
        if self.state != "closed":
            self.state = "half_open"
            self._probing = False

    def rest(self, now: float) -> float:
        """Seconds until it lets a call try again, if it is open."""
        return max(0.0, self._until - now)

    def _open(self, now: float) -> None:
        longest = self._limits.max_open_ms / 1000
        first = self._limits.open_ms / 1000
        self._opened_for = min(longest, self._opened_for * 2 or first)
        self._until = now + self._opened_for
        self.state = "open"

    def _close(self) -> None:
        self.state = "closed"
        self._failures = 0
        self._opened_for = 0.0


class Breakers:
    """The breakers of one dispatcher; shadow and warn have their own (R15)."""

    __slots__ = ("_announced", "_breakers")

    def __init__(self) -> None:
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._announced: dict[str, float] = {}  # when, the latest last

    def __bool__(self) -> bool:
        """Tell whether anything failed yet."""
        return bool(self._breakers)

    def known(self, binding: Binding) -> Breaker | None:
        """Return the breaker of a binding's plugin in its mode; None is one that never failed."""
        return self._breakers.get((binding.plugin, binding.mode)) if self._breakers else None

    def of(self, binding: Binding, limits: BreakerLimits) -> Breaker:
        """Return it, or make it."""
        key = (binding.plugin, binding.mode)
        breaker = self._breakers.get(key)
        if breaker is None:
            breaker = self._breakers[key] = Breaker(limits)
        return breaker

    def concerns(self, binding: Binding, sent: float) -> bool:
        """Tell whether a call made at *sent* says anything about the plugin as it is now.

        What was asked of one that was killed runs out of time when its successor is long there.
        """
        return sent >= self._announced.get(binding.plugin, sent)

    def announced(self, plugin: str, now: float) -> None:
        """Tell the plugin's breakers that it announced itself anew."""
        self._announced.pop(plugin, None)
        self._announced[plugin] = now
        if len(self._announced) > REMEMBERED:
            del self._announced[next(iter(self._announced))]
        for (name, _), breaker in self._breakers.items():
            if name == plugin:
                breaker.announced()

    def states(self) -> dict[str, State]:
        """The breakers that are not closed: ``{"guard/enforce": "open"}``"""
        return {
            f"{plugin}/{mode}": breaker.state
            for (plugin, mode), breaker in self._breakers.items()
            if breaker.state != "closed"
        }

    def rests_ms(self, now: float) -> dict[str, int]:
        """In how many milliseconds each open one lets a call try: ``{"guard/enforce": 812}``"""
        return {
            f"{plugin}/{mode}": round(breaker.rest(now) * 1000)
            for (plugin, mode), breaker in self._breakers.items()
            if breaker.state == "open"
        }
