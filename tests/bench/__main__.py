"""python -m tests.bench: what a decision costs, beside relays that check nothing and its peers.

Each mode starts what it measures on brokers of its own and measures it in turn, round by round.
Without a mode it is the contest. Exit code 1 when a decision was wrong or a bar is missed.
docs/bench.md says what is compared and how to read it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, Final

from tests.bench.contest import run_contest
from tests.bench.contestants import CONTESTANTS
from tests.bench.features import run_features_mode
from tests.bench.importing import run_import_mode
from tests.bench.memory import run_memory_mode
from tests.bench.options import QUICK, Mode, Options
from tests.bench.recording import run_recording_mode
from tests.bench.replicas import run_replicas_mode
from tests.bench.scale import run_scale_mode
from tests.bench.scenarios import SCENARIOS
from tests.bench.surroundings import load_average, surroundings
from tests.bench.telemetry import run_telemetry_mode

#: By option. A new mode is a file of its own and a line here.
MODES: Final = {
    "contest": Mode("hookbus beside the relays and its peers", run_contest),
    "features": Mode("what each feature costs the dispatcher", run_features_mode),
    "replicas": Mode("one dispatcher beside two", run_replicas_mode),
    "recording": Mode("what a recorded message costs, and streams in trouble", run_recording_mode),
    "scale": Mode("many bindings, large payloads, many events at once", run_scale_mode),
    "telemetry": Mode("telemetry off, on, and with collectors in trouble", run_telemetry_mode),
    "memory": Mode("a dispatcher's memory, idle and after many events", run_memory_mode),
    "import": Mode("how long `import hookbus` takes", run_import_mode),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    modes = parser.add_argument_group("modes, one or more")
    for name, mode in MODES.items():
        modes.add_argument(
            f"--{name}", dest="modes", action="append_const", const=name, help=mode.says
        )
    modes.add_argument("--all", dest="modes", action="store_const", const=list(MODES))
    parser.add_argument("--rounds", type=int, default=5, help="at least 5 for a figure to quote")
    parser.add_argument("--events", type=int, default=4000, help="per measurement, 64 in flight")
    parser.add_argument("--quick", action="store_true", help="one small round, judging nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write every round")
    contest = parser.add_argument_group("of the contest")
    contest.add_argument("--only", choices=SCENARIOS, action="append", help="may be repeated")
    contest.add_argument("--contestants", choices=CONTESTANTS, nargs="+", metavar="NAME")
    contest.add_argument("--svg", type=Path, metavar="FILE", help="where to draw the picture")
    return parser.parse_args()


def options_of(said: argparse.Namespace) -> Options:
    options = QUICK if said.quick else Options(said.rounds, said.events)
    chosen = {"contestants": tuple(said.contestants or ()), "picture": said.svg}
    if said.only:
        chosen["scenarios"] = tuple(said.only)
    return options._replace(**chosen)


def main() -> None:
    said = parse()
    options = options_of(said)
    around = surroundings()
    machine = f"Python {around['versions']['python']}, {around['machine']['cores']} cores"
    load = load_average()
    print(
        f"hookbus bench: {options.rounds} rounds of {options.events} events, {machine},"
        f" load average {load}",
        flush=True,
    )
    started = time.time()
    everything: dict[str, Any] = {}
    is_well = True
    for name in said.modes or ["contest"]:
        outcome = MODES[name].run(options)
        everything[name] = outcome.figures
        is_well = is_well and outcome.is_well
    print(f"\n{time.time() - started:.0f} s; every decision was checked")
    if said.json:
        loads = {"before": load, "after": load_average()}
        size = {"rounds": options.rounds, "events": options.events}
        whole = {**around, "load_average": loads, **size, "modes": everything}
        said.json.write_text(json.dumps(whole, indent=1))
    if not is_well:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
