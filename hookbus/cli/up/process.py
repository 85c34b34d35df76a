"""One process of the local bus: its command, its log file, and when it may start again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hookbus.cli.errors import NotReady
from hookbus.processes import Child, read_tail, spawn

STOP_GRACE: Final = 12.0  # seconds; a plugin may take 10 to drain
FIRST_DELAY: Final = 0.2  # seconds until a process that died starts again, doubled each time …
LONGEST_DELAY: Final = 10.0  # … up to this
STEADY: Final = 10.0  # seconds; one that lived longer starts from the first delay


class Process:
    """A child that can be started again."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_file: Path,
        environ: Mapping[str, str],
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._command = command
        self._environ = environ
        self._pass_fds = pass_fds
        self._log_size = 0
        self._started = 0.0
        self._delay = 0.0
        self._said = ""  # why it failed the last time
        self._child = self._spawn()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    @property
    def is_due(self) -> bool:
        """It ended, and has waited long enough to be started again."""
        return not self.is_running and time.monotonic() >= self._started + self._delay

    def log_tail(self) -> str:
        """The last lines that it wrote since it was started."""
        return read_tail(self.log_file, since=self._log_size)

    def ended(self) -> str:
        """Say how it ended: ``"guard-tools ended with exit code 1"``."""
        code = self._child.returncode
        how = (
            f"was killed by signal {-code}" if code and code < 0 else f"ended with exit code {code}"
        )
        return f"{self.name} {how}"

    def failed(self) -> str:
        """Say how it ended and, once as long as that stays the same, its last words."""
        code, words = self._child.returncode, self.log_tail().strip().rpartition("\n")[2]
        if not code or code < 0 or words == self._said:  # a signal gives it no time to say why
            return self.ended()
        self._said = words
        return f"{self.ended()}: {words.removeprefix('hookbus: ')}"

    def check(self) -> None:
        """Raise :class:`NotReady`, with the end of its log, if it ended."""
        if not self.is_running:
            raise NotReady(
                f"{self.ended()}; its log {str(self.log_file)!r} ends:\n{self.log_tail()}"
            )

    def restart(self) -> None:
        """Start it again; the next time only after a longer delay, unless it lives long enough."""
        lived = time.monotonic() - self._started
        self._delay = FIRST_DELAY if lived > STEADY else min(2 * self._delay, LONGEST_DELAY)
        self._delay = max(self._delay, FIRST_DELAY)
        self._child = self._spawn()

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and do not wait."""
        if self.is_running:
            os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """Send SIGTERM, wait for the end, and force it at last."""
        self._child.terminate(STOP_GRACE)

    def _spawn(self) -> Child:
        with self.log_file.open("ab") as log:
            self._log_size = log.tell()
            self._started = time.monotonic()
            return spawn(
                self._command,
                env=self._environ,
                stdout=log,
                stderr=log,
                pass_fds=self._pass_fds,
            )
