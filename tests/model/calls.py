"""What one call comes to in time: timeouts, extension, retry (R6, D10-D13); breakers (R20, R21).

Times are microseconds as exact fractions. Imports no hookbus. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.model.values import MS, Fails, Hook, Says, Settings, Step

Time = Fraction

ABSENT_DELAY = Fraction(20 * MS)
#: Nothing comes, or what comes is dropped (R13).
SILENT = {"silence", "spoof", "old_attempt"}
#: What a plugin answered wrongly, or could not be reached: it may be asked again.
RETRIED = {
    "no_responders",
    "service_error",
    "overloaded",
    "malformed",
    "uid_mismatch",
    "unknown_verdict",
    "reply_too_large",
}
#: What a breaker counts (R21); a timeout only at the plugin's own timeout.
COUNTED = RETRIED - {"no_responders"} | {
    "timeout",
    "phase_violation",
    "bad_patch",
    "forbidden_write",
}


class Tie(Exception):
    """Two moments are too close together for a clock to tell which is first: not a case."""


#: A timer of hookbus may come half a millisecond early, and several may add up.
TOO_CLOSE = 2 * MS


def before(a: Time | int, b: Time | int) -> bool:
    """*a* comes before *b*, and clearly so."""
    earlier = Fraction(b) - a
    if abs(earlier) < TOO_CLOSE:
        raise Tie
    return earlier > 0


def budget(timeout_ms: int | Fraction) -> Time:
    """R6: the timeout less 10 %, at least 5 ms, at most 50 ms."""
    margin = min(max(Fraction(timeout_ms, 10), Fraction(5)), Fraction(50))
    return (timeout_ms - margin) * MS


@dataclass(frozen=True)
class Allowance:
    """The effective timeout of one call, and how far an extension may go."""

    timeout: Time
    cap: Time
    is_shortened: bool


def allowance(remaining: Time, hook: Hook, reserve: int, stages_left: int) -> Allowance:
    """R6, with *reserve* in milliseconds."""
    cap = remaining - reserve * MS
    if stages_left > 1 and before(cap, hook.min_ms * MS):  # the last stage has all in any case
        cap = remaining / stages_left
    own = Fraction(hook.timeout_ms * MS)
    is_shortened = before(cap, own)
    return Allowance(cap if is_shortened else own, cap, is_shortened)


@dataclass
class Heard:
    """What one call came to, before anybody has judged what was said.

    Attributes:
        is_shortened: a timeout is the budget's doing, not the plugin's (R7).
    """

    said: Says | None = None
    failure: str | None = None
    attempt: int = 1
    lasted: Time = Fraction(0)
    notes: list[dict[str, Any]] = field(default_factory=list)
    is_shortened: bool = False


def call(hook: Hook, next_step: Callable[[], Step | None], given: Allowance) -> Heard:
    """Ask once, and again where the rules on retry say so; all within one timeout."""
    due, is_shortened, sent = given.timeout, given.is_shortened, Fraction(0)
    heard = Heard()
    while True:
        step = next_step()
        if step is not None and step.extend is not None and not heard.notes:
            at, wanted_ms = step.extend
            if hook.max_extension_ms > 0 and before(sent + at, due):
                ms = min(wanted_ms, hook.max_extension_ms)
                is_shortened = given.is_shortened or before(given.cap, due + ms * MS)
                due = min(due + ms * MS, given.cap)
                heard.notes = [{"kind": "extended", "ms": ms}]
        heard.said, heard.failure, heard.lasted = _answer(step, sent, due)
        heard.is_shortened = is_shortened
        delay = _retry_delay(hook, heard)
        if delay is None or not before(heard.lasted + delay, due):
            return heard
        sent = heard.lasted + delay
        heard.attempt += 1


def _answer(step: Step | None, sent: Time, due: Time) -> tuple[Says | None, str | None, Time]:
    if step is None:
        return None, "no_responders", sent
    is_silent = isinstance(step.answer, Fails) and step.answer.how in SILENT
    is_at_once = step.after == 0 and sent < due  # no timer comes before it
    if is_silent or not (is_at_once or before(sent + step.after, due)):
        return None, "timeout", due
    if isinstance(step.answer, Fails):
        return None, step.answer.how, sent + step.after
    return step.answer, None, sent + step.after


def _retry_delay(hook: Hook, heard: Heard) -> Time | None:
    """Only with ``side_effects=none``, or after ``no_responders`` (then 20 ms later)."""
    if heard.attempt > hook.retry or heard.failure not in RETRIED:
        return None
    if heard.failure == "no_responders":
        return ABSENT_DELAY
    if hook.side_effects != "none":
        return None
    # the page has no delay for a plugin that is full; asking it again at once would be no help
    return ABSENT_DELAY if heard.failure == "overloaded" else Fraction(0)


class Breaker:
    """Opens after so many failures in a row, 1 s, doubling to 30 s; half-open has one probe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._failures = 0
        self._open_ms = settings.breaker_open_ms
        self._open_until: Time | None = None
        self._is_probing = False

    def admits(self, now: Time) -> bool:
        """Tell whether the plugin may be called; half-open, the first call is the probe."""
        if self._open_until is None:
            return True
        if self._is_probing or before(now, self._open_until):
            return False
        self._is_probing = True
        return True

    def learn(self, now: Time, failure: str | None, *, is_shortened: bool) -> None:
        """A call ended: with a verdict, a Block too, or with a failure."""
        was_probe, self._is_probing = self._is_probing, False
        if self._open_until is not None and not was_probe:
            return  # asked before it opened: only the probe says how the plugin is now
        if failure is None:
            self._failures, self._open_until = 0, None
            self._open_ms = self._settings.breaker_open_ms
            return
        if failure not in COUNTED or (failure == "timeout" and is_shortened):
            return
        self._failures += 1
        if was_probe:
            self._open_ms = min(2 * self._open_ms, self._settings.breaker_max_open_ms)
        elif self._failures < self._settings.breaker_failures:
            return
        self._open_until = now + self._open_ms * MS
