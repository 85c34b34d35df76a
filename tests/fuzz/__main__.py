"""``python -m tests.fuzz [--seconds 60] [--seed N] [--target NAME]``: random inputs."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from tests.fuzz import sockets
from tests.fuzz.inputs import read, write
from tests.fuzz.running import Found, inputs, run, run_for
from tests.fuzz.targets import TARGETS

FOUND = Path(tempfile.gettempdir()) / "hookbus-fuzz"  # where the inputs of findings are written


def main() -> int:
    """Return 1 when something was found."""
    options = _options()
    if options.replay:
        replayed = read(options.replay)
        is_socket = replayed.target == sockets.NAME
        return _told(
            sockets.run([replayed]) if is_socket else run(TARGETS[replayed.target], [replayed])
        )
    names = options.target or [*TARGETS, sockets.NAME]
    found: list[Found] = []
    for name in names:
        fed, some = _run(name, options, options.seconds / len(names))
        print(f"{name:13} {fed:8} inputs  {len(some):4} findings", flush=True)
        found += some
    return _told(found)


def _run(name: str, options: argparse.Namespace, seconds: float) -> tuple[int, list[Found]]:
    if name == sockets.NAME:
        ends, fed, found = time.monotonic() + seconds, 0, list[Found]()
        while time.monotonic() < ends:
            found += sockets.run(list(islice(sockets.inputs(options.seed, fed), 200)))
            fed += 200
        return fed, found
    target = TARGETS[name]
    if options.only is not None:
        return 1, run(target, list(islice(inputs(target, options.seed, options.only), 1)))
    return run_for(target, options.seed, seconds)


def _told(found: list[Found]) -> int:
    for each in found:
        print(f"\n{each.input.name}: {each.problem}")
        if each.input.name.startswith(f"{each.input.target}-seed"):
            FOUND.mkdir(exist_ok=True)
            file = FOUND / f"{each.input.name}.json"
            write(each.input, file)
            print(f"    python -m tests.fuzz --replay {file}")
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=[*TARGETS, sockets.NAME])
    parser.add_argument("--only", type=int, metavar="N", help="the input of that number alone")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="one input, from its file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
