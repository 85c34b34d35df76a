"""How long anything may take: the budget of an event and the timeouts cut from it (R6). Pure.

All times are seconds on the caller's monotonic clock.
"""

from __future__ import annotations

from typing import Final

from hookbus.catalog import TypeSettings
from hookbus.runtimes.base import Allowance
from hookbus.snapshot import Limits

RETURN_MARGIN: Final = 0.1  # of the event's timeout, kept for the way back to the emitter
MIN_RETURN_MARGIN: Final = 0.005  # seconds
MAX_RETURN_MARGIN: Final = 0.050  # seconds
#: Seconds; what is left below it is no time: no plugin can be told less, floats are rounded, and
#: the timer that ended the call before may have come half a millisecond early.
SPENT: Final = 0.001


def event_timeout(asked_ms: int | None, settings: TypeSettings, limits: Limits) -> float:
    """Return the event's timeout in seconds: what was asked for, cut at the type's maximum."""
    maximum = settings.max_timeout_ms or limits.max_timeout_ms
    wanted = asked_ms or settings.timeout_ms or limits.timeout_ms
    return min(wanted, maximum) / 1000


def budget_of(timeout: float) -> float:
    """Return what may be spent of an event's timeout: less 10 %, at least 5 and at most 50 ms."""
    margin = min(MAX_RETURN_MARGIN, max(MIN_RETURN_MARGIN, timeout * RETURN_MARGIN))
    return timeout - margin


def allow(
    remaining: float, wanted: float, min_time: float, reserve: float, stages: int
) -> Allowance:
    """Cut one call's timeout from the *remaining* budget.

    *reserve* is kept for the closed plugins of later stages. When that leaves less than the
    plugin's own minimum, the remaining time is shared equally by the *stages* left.
    """
    if remaining < SPENT:
        return Allowance(0.0, is_shortened=True)
    cap = remaining - reserve
    if cap < min_time:
        cap = remaining / stages
    if cap < wanted:
        return Allowance(cap, is_shortened=True, cap=cap)
    return Allowance(wanted, is_shortened=False, cap=cap)
