"""An emitter that is a command: it is started for each event, and says on stdout how that ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hookbus.conformance.emitters.stage import Ended
from hookbus.wire.limits import NOT_JSON, cut

PATIENCE: Final = 40.0  # seconds; an emitter that names no time may wait for 30
_MAX_KEPT: Final = 1024 * 1024  # bytes of what it wrote, the last ones
_MAX_SHOWN: Final = 200  # characters of what it wrote

#: Of our own connection: the bus that emitters are tried on asks nobody who he is.
_NOT_PASSED_ON: Final = ("HOOKBUS_CREDS", "HOOKBUS_TLS_CA", "HOOKBUS_TLS_CERT", "HOOKBUS_TLS_KEY")


class Command:
    """Runs *words* with two more: the event's type, and its data as JSON."""

    def __init__(self, words: Sequence[str], url: str) -> None:
        self._words = list(words)
        self._environ = {**_passed_on(os.environ), "HOOKBUS_NATS_URL": url}

    async def run(self, event_type: str, data: Any) -> Ended:
        """Start it, wait for its end, and read its last line.

        Raises:
            OSError: It cannot be started.
        """
        words = [*self._words, event_type, msgspec.json.encode(data).decode()]
        process = await asyncio.create_subprocess_exec(
            # a group of its own: what it starts ends with it
            *words,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=self._environ,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                out, err = await asyncio.gather(_tail(process.stdout), _tail(process.stderr))
                await process.wait()
        except TimeoutError:
            return Ended(problem=f"the command, or what it started, still ran after {PATIENCE:g} s")
        finally:
            await _end(process)
        return ended(out, err, process.returncode)


def ended(out: bytes, err: bytes, code: int | None) -> Ended:
    """Read the outcome in the last line of *out*; without one say what else there is."""
    line = (out.strip().splitlines() or [b""])[-1]
    try:
        said = msgspec.json.decode(line)
    except NOT_JSON:
        said = None
    outcome = said.get("outcome") if isinstance(said, dict) else None
    if isinstance(outcome, str):
        return Ended(outcome, said.get("data"))
    last = (err.strip().splitlines() or [b""])[-1]
    found = f"its last line on stdout was {_shown(line)}" if line else "it printed nothing"
    complaint = f"; on stderr: {_shown(last)}" if last else ""
    return Ended(problem=f"no outcome: {found}; exit code {code}{complaint}")


def _shown(line: bytes) -> str:
    return cut(line.decode(errors="replace"), _MAX_SHOWN)


def _passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _NOT_PASSED_ON}


async def _tail(stream: StreamReader | None) -> bytes:
    """Read to the end, and keep the end: a command may write for ever."""
    kept = b""
    while stream is not None and (chunk := await stream.read(_MAX_KEPT)):
        kept = (kept + chunk)[-_MAX_KEPT:]
    return kept


async def _end(process: Process) -> None:
    """End it, and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
