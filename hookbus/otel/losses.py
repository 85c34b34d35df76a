"""The end of a process's telemetry: all signals at once, and in one line what did not arrive."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

ANSWERS: Final = "it answers"  # how a failure begins where somebody listens

log = logging.getLogger(__name__)


class Lost(NamedTuple):
    """What did not reach a collector, such as ``2 of 2 spans``; *failure* as of `Posts`."""

    what: str
    endpoint: str
    failure: str = ""


#: Ends a signal, within seconds, and returns what was lost of it.
Stop = Callable[[], Lost | None]


class Losses:
    """What each signal could not deliver to its collector."""

    def __init__(self) -> None:
        self._stops: list[Stop] = []

    def ask(self, stop: Stop) -> None:
        """Call *stop* at the end of the process."""
        self._stops.insert(0, stop)

    def tell(self) -> None:
        """End all signals at once, and say what was lost, if there is anything."""
        if not self._stops:
            return
        with ThreadPoolExecutor(len(self._stops)) as pool:
            lost = [lost for lost in pool.map(lambda stop: stop(), self._stops) if lost]
        if lost:
            log.warning("telemetry_lost: %s", ", and ".join(_told(lost)))


def _told(lost: Iterable[Lost]) -> Iterator[str]:
    by_endpoint: dict[str, list[Lost]] = {}
    for one in lost:
        by_endpoint.setdefault(one.endpoint, []).append(one)
    for endpoint, ours in by_endpoint.items():
        what = " and ".join(one.what for one in ours)
        why = reason(*(one.failure for one in ours))
        yield f"{what} did not reach the collector at {endpoint}; {why}"


def reason(*failures: str) -> str:
    """Say why a collector takes nothing, as far as it is known; see `Posts.failure`."""
    known = [*dict.fromkeys(failure for failure in failures if failure)]
    if not any(failure.startswith(ANSWERS) for failure in known):
        known.append("does it listen there?")
    return "; ".join(known)
