"""One message in memory. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryMessage:
    """One message, as `hookbus.transport.Message` wants it."""

    subject: str
    data: bytes
    reply: str = ""
    headers: Mapping[str, str] | None = None
