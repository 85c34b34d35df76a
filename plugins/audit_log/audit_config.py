"""What the operator of audit-log may choose. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class InvalidConfig(ValueError):
    """The operator's ``[plugins.audit-log.config]`` cannot be used."""


@dataclass(frozen=True, slots=True)
class Config:
    """Where lines go and what they hold.

    Attributes:
        path: the file; None is the standard output.
        max_bytes: a file that would grow beyond it is moved to ``path.1`` first; 0 never.
        keep: moved files that are kept.
        include_data: payloads are written, too.
        remember: the last lines among which a redelivered event is recognised.
    """

    path: str | None = None
    max_bytes: int = 0
    keep: int = 5
    include_data: bool = False
    remember: int = 1000

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Config:
        """Read the plugin's configuration; what is missing is the default.

        Raises:
            InvalidConfig: If a key is unknown or a value is not what it must be.
        """
        for key, value in config.items():
            if problem := _problem(key, value):
                raise InvalidConfig(f"{key}: {problem}")
        return cls(**config)


def _problem(key: str, value: Any) -> str | None:
    if key == "path":
        return None if isinstance(value, str) and value else f"expected a file name, got {value!r}"
    if key == "include_data":
        return None if isinstance(value, bool) else f"expected true or false, got {value!r}"
    lowest = {"max_bytes": 0, "keep": 1, "remember": 0}.get(key)
    if lowest is None:
        return "unknown key, expected path, max_bytes, keep, include_data or remember"
    if isinstance(value, int) and not isinstance(value, bool) and value >= lowest:
        return None
    return f"expected an integer >= {lowest}, got {value!r}"
