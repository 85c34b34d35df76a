"""Values of a plugin's configuration that stand elsewhere: ``env:NAME`` and ``file:/path``.

They are read where the plugin runs, so that a secret is neither in the settings nor on the bus.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hookbus.errors import Problem
from hookbus.manifest.problems import join

_VARIABLE: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_FILE: Final = re.compile(r"file:(/.+)", re.DOTALL)
MAX_FILE_BYTES: Final = 64 * 1024


def resolve_values(
    config: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """Put in the values that stand elsewhere; say which of them cannot be had, and why.

    Of a file the last line's end is left out. The problems name places, never values.
    """
    environ = os.environ if environ is None else environ
    problems: list[Problem] = []

    def resolve(value: Any, at: str) -> Any:
        match value:
            case str():
                return _resolved(value, at, environ, problems)
            case dict():
                return {key: resolve(inner, join(at, key)) for key, inner in value.items()}
            case list():
                return [resolve(inner, f"{at}[{i}]") for i, inner in enumerate(value)]
        return value

    try:
        return resolve(dict(config), "config"), tuple(problems)
    except RecursionError:  # JSON may be deeper than Python goes
        return {}, (Problem("config", "is nested too deeply"),)


def _resolved(text: str, at: str, environ: Mapping[str, str], problems: list[Problem]) -> str:
    if named := _VARIABLE.fullmatch(text):
        if named[1] in environ:
            return environ[named[1]]
        problems.append(Problem(at, f"the variable {named[1]} is not set where the plugin runs"))
    elif named := _FILE.fullmatch(text):
        try:
            return _contents(Path(named[1])).removesuffix("\n").removesuffix("\r")
        except (OSError, ValueError) as e:
            reason = e.strerror if isinstance(e, OSError) else e
            message = f"{named[1]!r} cannot be read where the plugin runs: {reason}"
            problems.append(Problem(at, message))
    return text


def _contents(path: Path) -> str:
    if not path.is_file():  # reading a pipe would wait for ever
        raise FileNotFoundError(2, "there is no such file")
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise ValueError(f"expected at most {MAX_FILE_BYTES} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:  # its text quotes the bytes
        raise ValueError("expected UTF-8") from None
