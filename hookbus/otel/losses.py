"""What of a process's telemetry did not arrive, said in one line at its end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

ANSWERS: Final = "it answers"  # how a failure begins where somebody listens

log = logging.getLogger(__name__)


class Losses:
    """Collects what each signal could not deliver to its collector."""

    def __init__(self) -> None:
        self._by_endpoint: dict[str, tuple[list[str], list[str]]] = {}

    def add(self, what: str, endpoint: str, failure: str = "") -> None:
        """Note that *what*, such as ``2 of 2 spans``, did not reach the collector there."""
        whats, failures = self._by_endpoint.setdefault(endpoint, ([], []))
        whats.append(what)
        failures.append(failure)

    def tell(self) -> None:
        """Say it, if there is anything."""
        if self._by_endpoint:
            log.warning("telemetry_lost: %s", ", and ".join(self._told()))

    def _told(self) -> Iterator[str]:
        for endpoint, (whats, failures) in self._by_endpoint.items():
            lost = f"{' and '.join(whats)} did not reach the collector at {endpoint}"
            yield f"{lost}; {reason(*failures)}"


def reason(*failures: str) -> str:
    """Say why a collector takes nothing, as far as it is known; see `Posts.failure`."""
    known = [*dict.fromkeys(failure for failure in failures if failure)]
    if not any(failure.startswith(ANSWERS) for failure in known):
        known.append("does it listen there?")
    return "; ".join(known)
