"""What of a process's telemetry did not arrive, said in one line at its end."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Losses:
    """Collects what each signal could not deliver to its collector."""

    def __init__(self) -> None:
        self._by_endpoint: dict[str, list[str]] = {}

    def add(self, what: str, endpoint: str) -> None:
        """Note that *what*, such as ``2 of 2 spans``, did not reach the collector there."""
        self._by_endpoint.setdefault(endpoint, []).append(what)

    def tell(self) -> None:
        """Say it, if there is anything."""
        if not self._by_endpoint:
            return
        lost = ", ".join(
            f"{' and '.join(what)} did not reach the collector at {endpoint}"
            for endpoint, what in self._by_endpoint.items()
        )
        log.warning("telemetry_lost: %s; does it listen there?", lost)
