"""A log line that is a word and its fields. Pure.

A service with plain logging reads ``plugin_failed plugin=geo failure=timeout``; who renders fields,
as the roles do (`hookbus.server.logs`), takes the word alone and the fields from ``extra``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookbus.printable import clean


class LogLine:
    """The message of a log record: ``log.warning(line, extra=line.fields)``."""

    __slots__ = ("fields", "word")

    def __init__(self, word: str, fields: Mapping[str, Any]) -> None:
        self.word = word
        self.fields = fields

    def __str__(self) -> str:
        said = (f"{name}={clean(str(value))}" for name, value in self.fields.items())
        return " ".join((self.word, *said))
