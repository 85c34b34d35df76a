"""The tools: one text in, one text out. They reach one folder, and nothing beside it."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.assistant.calculator import calculate

MAX_BYTES: Final = 64 * 1024  # of a file


class ToolFailed(Exception):
    """A tool cannot do what it was asked to; the text may be shown to anybody."""


class Tools:
    """What can be called, by name; each tool has one argument."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve(strict=True)
        files = {"list_files": ("path", self._list), "read_file": ("path", self._read)}
        self._tools = {"calculator": ("expression", calculate), **files}

    async def run(self, name: str, args: Mapping[str, Any]) -> str:
        """Return what the tool says, or raise ToolFailed."""
        argument, tool = self._tools.get(name, ("", None))
        value = args.get(argument)
        if tool is None or not isinstance(value, str):
            raise ToolFailed(f"There is no tool {name!r} that takes {sorted(args)}.")
        try:
            return await asyncio.to_thread(tool, value)
        except (ArithmeticError, OSError, ValueError) as e:  # may say paths: not for everybody
            raise ToolFailed(f"{name} can do nothing with {value!r}.") from e

    def _list(self, path: str) -> str:
        entries = self._inside(path).iterdir()
        return "\n".join(sorted(f"{e.name}/" if e.is_dir() else e.name for e in entries)[:100])

    def _read(self, path: str) -> str:
        file = self._inside(path)
        if not file.is_file():  # a pipe or a device could be read for ever
            raise ToolFailed(f"There is no file {path!r}.")
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES or b"\0" in content:
            raise ToolFailed(f"{path!r} is no text of at most {MAX_BYTES} bytes.")
        return content.decode()

    def _inside(self, path: str) -> Path:
        found = Path(os.path.realpath(self._folder / path))  # follows links: none leads out
        if not found.is_relative_to(self._folder):
            raise ToolFailed(f"{path!r} is outside of the folder.")
        return found
