"""python -m tests.long.alerts: each alert fires, and each panel of the dashboard shows something.

Prometheus (``apt-get install prometheus``) scrapes a bus on which everything goes wrong, one thing
after another. The alerts are loaded from deploy/ with their waiting left out and their windows cut
to 20 s; their conditions are as they are. Exit code 1 when an alert did not fire, when one fired
before its fault, or when a query of a panel had no value all the time.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.alerts.faults import IN_FLIGHT, MORE, OUTBOX, FaultyBus, faulty_bus, slow_plugin
from tests.alerts.files import alerts, hastened, queries
from tests.alerts.prometheus import Prometheus, is_installed, prometheus

WINDOW: Final = 20  # seconds
PATIENCE: Final = 60.0  # seconds for one alert

PADDING: Final = "." * 4_000


class Run:
    """What was tried, and what came of it."""

    def __init__(self, bus: FaultyBus, seen: Prometheus) -> None:
        self.bus = bus
        self.seen = seen
        self.problems: list[str] = []

    def provoke(self, fault: Callable[[], object], *names: str, is_there: bool = False) -> None:
        """Do *fault*; the alerts that are named fire then, and before only if it *is_there*."""
        early = set() if is_there else self.seen.firing() & set(names)
        began = time.monotonic()
        fault()
        while missing := set(names) - self.seen.fired(time.monotonic() - began):
            if time.monotonic() - began > PATIENCE:
                self.problems.append(f"did not fire: {', '.join(sorted(missing))}")
                break
            time.sleep(0.2)
        self.problems += [f"fired before its fault: {name}" for name in sorted(early)]
        print(f"{time.monotonic() - began:5.1f} s  {', '.join(names)}", flush=True)

    def crowd(self) -> None:
        """More events than may be decided at a time, until a file says that it is enough."""
        gate = self.bus.folder / "gate"
        emits = threading.Thread(
            target=self.bus.emit,
            args=("message_received", {"text": str(gate)}),
            kwargs={"times": IN_FLIGHT + MORE, "at_once": IN_FLIGHT + MORE},
        )
        emits.start()
        time.sleep(3.0)  # so long that it is slow, too
        gate.touch()
        emits.join()

    def flood(self) -> None:
        """More for the observers than their stream keeps."""
        data = {"text": str(self.bus.folder), "user": PADDING}
        self.bus.emit("message_received", data, times=100, at_once=4)


def misbehave(run: Run) -> None:
    """All faults, the one behind which nothing goes on at the end."""
    bus = run.bus
    run.provoke(bus.ask_for_garbage, "HookbusBlockedByFailure", "HookbusBreakerOpen")
    opened = {"text": "x"}
    run.provoke(lambda: bus.emit("response_generated", opened, times=3), "HookbusPassedUnchecked")
    with slow_plugin(bus):
        run.provoke(bus.answer_as_another, "HookbusSpoofedReplies", "HookbusDeadLetters")
        run.provoke(run.flood, "HookbusObserverLoses")
        run.provoke(run.crowd, "HookbusOverloaded", "HookbusNearlyFull", "HookbusSlow")
    run.provoke(
        lambda: (bus.seal_the_decisions(), bus.emit("response_generated", opened)),
        "HookbusRecordsWait",
    )
    many = OUTBOX + 200
    run.provoke(
        lambda: bus.emit("response_generated", opened, times=many, at_once=IN_FLIGHT),
        "HookbusUnrecorded",
    )
    run.provoke(bus.require_audit, "HookbusGenerationsDiffer", is_there=True)
    run.provoke(lambda: bus.emit("response_generated", opened), "HookbusAuditBlocks")


def main() -> None:
    if not is_installed():
        sys.exit("expected prometheus on PATH; next: apt-get install prometheus")
    with tempfile.TemporaryDirectory(prefix="hookbus-alerts-") as name:
        folder, began = Path(name), time.time()
        with (
            faulty_bus(folder, others=True) as bus,
            prometheus(folder, bus.targets, hastened(WINDOW)) as seen,
        ):
            run = Run(bus, seen)
            while seen.value('count(hookbus_build_info{role="registry"})') != 2:
                time.sleep(0.1)
            # a dispatcher without a broker is scraped from the start
            run.provoke(lambda: None, "HookbusNotReady", is_there=True)
            misbehave(run)
            for query in queries():
                if not seen.shown(query.expr, began, time.time()):
                    run.problems.append(f"shows nothing: {query.panel}: {query.expr}")
            run.provoke(bus.stop_the_roles, "HookbusNoDispatcher", "HookbusNoRegistry")
            unseen = {alert.name for alert in alerts()} - seen.fired()
    run.problems += [f"never fired: {name}" for name in sorted(unseen)]
    print(f"{len(alerts())} alerts, {len(queries())} queries; problems: {len(run.problems)}")
    sys.exit("\n".join(run.problems) or 0)


if __name__ == "__main__":
    main()
