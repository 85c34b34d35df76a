"""Moments as people write them: ``1h`` ago, or ``2026-11-21T10:00:00Z``. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from hookbus.cli.errors import UsageError

_DURATION: Final = re.compile(r"([0-9]{1,9}) ?(s|m|h|d)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_since(text: str, now: datetime) -> datetime:
    """``"1h"`` is one hour before *now*; a moment without a zone is UTC.

    Raises:
        UsageError: It is neither, or not in the past.
    """
    match = _DURATION.fullmatch(text)
    try:
        if match is not None:
            moment = now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as e:
        raise UsageError(
            f"--since: expected 90s, 30m, 1h, 7d or 2026-11-21T10:00:00Z, got {text!r}"
        ) from e
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise UsageError(f"--since: expected a moment in the past, got {text!r}")
    return moment.astimezone(UTC)
