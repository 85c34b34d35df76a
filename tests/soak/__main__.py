"""python -m tests.soak: a whole bus for minutes, disturbed at random, each decision compared.

One broker, two dispatchers and registries, six processes of plugins that answer right, wrong, late,
twice or not at all, and one emitter at half of the measured top rate. Processes are stopped, killed
and hung, the configuration is changed, all of it from the seed. Exit code 1 when a bar is broken.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys

from tests.soak.bars import problems, table
from tests.soak.cluster import SMALL, WHOLE
from tests.soak.run import Plan, soak


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--rate", default="auto", help="events a second; auto: half of the top")
    parser.add_argument("--small", action="store_true", help="few processes, as in CI")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # with its processes
    rate = None if options.rate == "auto" else float(options.rate)
    form = SMALL if options.small else WHOLE
    plan = Plan(options.minutes * 60, options.seed, form, rate)
    outcome = soak(plan, lambda line: print(line, flush=True))
    print(table(outcome))
    found = problems(outcome)
    command = f"python -m tests.soak --minutes {options.minutes:g} --seed {options.seed}"
    again = f"again: {command} --rate {outcome.rate:.0f}{' --small' * options.small}"
    sys.exit("\n".join([*found, again]) if found else 0)


if __name__ == "__main__":
    main()
