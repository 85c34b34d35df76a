"""A mistake in a declaration that nobody catches: shown to the script's author in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import Final, TypeVar

_SDK: Final = Path(__file__).parent
_DECLARING: Final = str(_SDK / "declare.py")

_Mistake = TypeVar("_Mistake", bound=Exception)

_show_others = sys.excepthook


def in_one_line(mistake: _Mistake) -> _Mistake:
    """Have *mistake* shown as ``plugin.py:7: …``, without the SDK's frames, if it ends a script."""
    global _show_others
    if sys.excepthook is not _show:  # what is uncaught so far is whose hook it was
        _show_others, sys.excepthook = sys.excepthook, _show
    return mistake


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    frames = extract_tb(traceback)
    authors = [frame for frame in frames if Path(frame.filename).parent != _SDK]
    if authors and frames[-1].filename == _DECLARING:
        print(f"{authors[-1].filename}:{authors[-1].lineno}: {error}", file=sys.stderr)
    else:
        _show_others(kind, error, traceback)
