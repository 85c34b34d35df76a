"""Versions of plugins: SemVer 2.0. Pure."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_WORD: Final = rf"(?:{_NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION: Final = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-({_WORD}(?:\.{_WORD})*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
MAX_VERSION_LENGTH: Final = 128  # characters; also keeps int() below its limit of 4,300 digits

_Word: TypeAlias = tuple[bool, int, str]
_Precedence: TypeAlias = tuple[int, int, int, bool, tuple[_Word, ...]]


def is_version(text: str) -> bool:
    """Tell whether *text* is a SemVer version: ``"1.2.0"``, ``"2.0.0-rc.1+build.7"``."""
    return len(text) <= MAX_VERSION_LENGTH and _VERSION.fullmatch(text) is not None


def is_newer(version: str, than: str) -> bool:
    """Tell whether *version* comes after *than* (SemVer 2.0, section 11); build data is ignored.

    Raises:
        ValueError: If one of the two is no version.
    """
    return _precedence(version) > _precedence(than)


def _precedence(text: str) -> _Precedence:
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a SemVer version such as '1.0.0', got {text!r}")
    major, minor, patch, pre_release = match.groups()
    words = pre_release.split(".") if pre_release else []
    # a version without a pre-release comes after all of its pre-releases
    return int(major), int(minor), int(patch), not words, tuple(map(_rank, words))


def _rank(word: str) -> _Word:
    # numbers come before words, numbers compare as numbers
    return (False, int(word), "") if word.isdigit() else (True, 0, word)
