"""A traceback of the frames that the author of a plugin knows: not Python's, and not ours."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[2]
_BUNDLED: Final = _PACKAGE / "bundled_plugins"
_PYTHON: Final = Path(sysconfig.get_path("stdlib")).resolve()


def own_frames(error: BaseException) -> str:
    """Write *error* with the frames of its author's files; all of them if there are none."""
    found = traceback.TracebackException.from_exception(error)
    frames = [frame for frame in found.stack if _is_own(frame.filename)]
    shown = traceback.StackSummary.from_list(frames or list(found.stack))
    return "".join((*shown.format(), *found.format_exception_only())).rstrip()


def _is_own(filename: str) -> bool:
    if filename.startswith("<"):  # <frozen importlib…>
        return False
    path = Path(filename).resolve()
    if path.is_relative_to(_BUNDLED):
        return True
    return not (path.is_relative_to(_PACKAGE) or _is_pythons(path))


def _is_pythons(path: Path) -> bool:
    return path.is_relative_to(_PYTHON) and "site-packages" not in path.parts
