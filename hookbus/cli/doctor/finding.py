"""What one check comes to. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Status: TypeAlias = Literal["ok", "problem", "unknown"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's.

    Attributes:
        check: what was looked at, one word or two.
        status: ``unknown`` is what cannot be told from here; it is no problem.
        said: what was found; never a secret.
        next: what to do about it; None where nothing is to be done.
    """

    check: str
    status: Status
    said: str
    next: str | None = None


def ok(check: str, said: str) -> Finding:
    return Finding(check, "ok", said)


def problem(check: str, said: str, next: str) -> Finding:
    """Something a person must mend; *next* says how."""
    return Finding(check, "problem", said, next)


def unknown(check: str, said: str, next: str | None = None) -> Finding:
    return Finding(check, "unknown", said, next)
