"""python -m tests.long.backoff: an observer that fails for ever, with the delays as they are.

It is shown one event after 0 s, 1 s, 5 s, 30 s and 2 min more, and then there is a dead letter.
Exit code 1 when a try came too early or more than two seconds late, or there is no letter.
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Final

from hookbus.config.settings import Settings
from tests.integration.commands import Bus, plugin, up

LATE: Final = 2.0  # seconds that a try may come late
EARLY: Final = 0.05  # seconds that two clocks may differ by

SOURCE: Final = """
import sys, time
from pathlib import Path
from hookbus import HookEvent, Plugin

plugin = Plugin("fails", version="1.0.0")

@plugin.hook("message_received", phase="observe", name="always")
async def always(event: HookEvent):
    with Path("tries").open("a") as file:
        file.write(f"{time.time()}\\n")
    raise RuntimeError("for ever")

plugin.run()
"""


def tries(bus: Bus, folder: Path, patience: float) -> tuple[list[float], int]:
    """Emit one event; return when it was shown, and how many letters there are in the end."""
    bus.emit("message_received", {"text": "hi"})
    deadline = time.monotonic() + patience
    letters: list[object] = []
    while not letters and time.monotonic() < deadline:
        time.sleep(1)
        letters = bus.control("dlq")["letters"]
    return [float(line) for line in (folder / "tries").read_text().split()], len(letters)


def main() -> None:
    delays = [ms / 1000 for ms in Settings().observers.backoff_ms]
    with tempfile.TemporaryDirectory(prefix="hookbus-backoff-") as name:
        folder = Path(name)
        with up(folder, "--no-bundled") as bus, plugin(bus, folder, "fails", SOURCE):
            shown, letters = tries(bus, folder, sum(delays) + 30)
    waited = [later - earlier for earlier, later in pairwise(shown)]
    print("seconds between the tries:", ", ".join(f"{each:.2f}" for each in waited))
    print(f"expected: {', '.join(f'{each:g}' for each in delays)}; dead letters: {letters}")
    is_right = len(waited) == len(delays) and all(
        wanted - EARLY <= found <= wanted + LATE
        for wanted, found in zip(delays, waited, strict=True)
    )
    sys.exit(0 if is_right and letters == 1 else 1)


if __name__ == "__main__":
    main()
