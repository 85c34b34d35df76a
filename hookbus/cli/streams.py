"""The process's own stdin, stdout and stderr: made fit to use, whoever started it; and their end.

Only the standard library: it comes before everything else.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Final

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # by their numbers

#: What writing can meet that is the fault of what stands behind the stream.
_LOST: Final = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)
)


def open_streams() -> None:
    """Open what is closed on nothing, and let everything be written that a terminal cannot show.

    Otherwise the first socket would get the free number: uvloop aborts then, and what is printed
    would go to the broker.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            _point_nowhere(number)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # not every terminal can write ✓ and people's names
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # 0 is what a terminal without a size says; Rich would print lines of no columns
    if not os.environ.get("COLUMNS", "").isdecimal() or int(os.environ["COLUMNS"]) == 0:
        os.environ.pop("COLUMNS", None)


def say_error(message: str) -> None:
    """Print one line on stderr, if that can be written to at all."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        _point_nowhere(2)


def is_lost_output(error: OSError) -> bool:
    """Tell whether *error* is of writing to stdout or stderr."""
    return error.errno in _LOST and error.filename is None


def drop_output() -> None:
    """Forget what could not be written to stdout: the interpreter would try again at its end."""
    _point_nowhere(1)


def _point_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
