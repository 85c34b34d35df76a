"""Three tools, a text in and a text out; two of them reach one folder, and nothing beside it."""

import ast
import asyncio
import logging
import os
from collections.abc import Mapping
from operator import add, mul, sub, truediv
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 64 * 1024  # of a file
SIGNS: dict[type, Any] = {ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.Div: truediv, ast.Pow: pow}


class Tools:
    """What can be called, by name; each tool has one argument."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder).resolve(strict=True)
        files = {"list_files": ("path", self._list), "read_file": ("path", self._read)}
        self._tools = {"calculator": ("expression", calculate), **files}

    async def run(self, name: str, args: Mapping[str, Any]) -> str:
        """Return what the tool says, or that it can do nothing: both may be shown to anybody."""
        try:
            argument, tool = self._tools[name]
            return await asyncio.to_thread(tool, args[argument])
        except Exception as e:  # what it says may be a path, which is not for everybody
            logging.getLogger(__name__).info("%s: %s", name, type(e).__name__)
            return f"{name} can do nothing with {args}."

    def _list(self, path: str) -> str:
        names = sorted(e.name + "/" * e.is_dir() for e in self._inside(path).iterdir())
        return "\n".join(names[:100])

    def _read(self, path: str) -> str:
        file = self._inside(path)
        if not file.is_file() or file.stat().st_size > MAX_BYTES:  # a pipe may never end
            raise ValueError("no file, or a large one")
        return file.read_text("utf-8")

    def _inside(self, path: str) -> Path:
        found = Path(os.path.realpath(self._folder / path))  # follows links: none leads out
        if not found.is_relative_to(self._folder):
            raise ValueError("outside of the folder")
        return found


def calculate(text: str) -> str:
    """``"2 + 3 * 4" → "14"``."""
    return f"{_value(ast.parse(text.strip(), mode='eval').body):.15g}"


def _value(node: ast.expr) -> float:
    match node:  # floats only: integers would grow for minutes, and 9**9**9 is an error at once
        case ast.Constant(value=int(number) | float(number)):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner)
        case ast.BinOp(left=left, op=sign, right=right):
            return float(SIGNS[type(sign)](_value(left), _value(right)))
    raise ValueError("no arithmetic")
