"""What an emitter may be told about an event beside its data: attributes and timeouts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

from hookbus import json_values
from hookbus.errors import InvalidEvent, InvalidOption
from hookbus.wire.event import MIN_TIMEOUT_MS
from hookbus.wire.limits import MAX_TEXT

SHORTEST_TIMEOUT: Final = MIN_TIMEOUT_MS / 1000  # seconds
LONGEST_TIMEOUT: Final = 86_400.0  # seconds; the bus cuts it to the type's max_timeout_ms

#: CloudEvents 1.0, "naming conventions".
_NAME: Final = re.compile(r"[a-z0-9]{1,20}")
#: CloudEvents 1.0, "type system": what a String may not hold.
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_REQUIRED: Final = ("id", "source")
_TEXTS: Final = (*_REQUIRED, "subject", "time", "traceparent", "tracestate")
_ATTRIBUTES: Final = frozenset(
    [*_TEXTS, "datacontenttype", "dataschema", "hbtimeoutms", "hbdryrun", "hbchain"]
)
#: What else a name can be a slip for, without its underscores → what was meant.
_MEANT: Final = {
    "type": "type",
    "data": "data",
    "timeout": "timeout",
    "timeouts": "timeout",
    "timeoutms": "timeout (in seconds)",
    "dryrun": "dry_run",
    "onunavailable": "on_unavailable (an option of the emitter)",
    "principal": "principal (an option of the emitter)",
    **{name: name for name in _ATTRIBUTES},
}
#: A name that is right, and stands in the wrong place → whose option it is.
_OPTIONS: Final = {
    "dry_run": "of emit, not of notify",
    "on_unavailable": "of the emitter, not of one event; give it to Emitter.connect",
    "principal": "of the emitter, not of one event; give it to Emitter.connect",
}
#: Names that resemble each other at least so much are one with a slip; `sourceid` is none.
_LIKENESS: Final = 0.87
_SHORTEST_SLIP: Final = 5  # letters; shorter names resemble everything


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Accept CloudEvents attributes, the known ones and extensions.

    Raises:
        TypeError: A name is none, or a slip for another one; a value has no CloudEvents type.
        InvalidEvent: A value cannot be that attribute's; ``pointer`` names it.
    """
    for name, value in attributes.items():
        if name not in _ATTRIBUTES and (wrong := _what_is_wrong_with(name)):
            raise TypeError(wrong)
        _check_value(name, value)


def check_source(source: object) -> None:
    """Accept a CloudEvents source, a URI reference such as ``/chat``.

    Raises:
        TypeError: It is no text.
        InvalidOption: It is empty, too long, or no URI reference.
    """
    if not isinstance(source, str):
        raise TypeError(f"source: expected a URI reference such as '/chat', got {source!r}")
    problem = _text_problem(source)
    if not source or " " in source:
        problem = f"a URI reference such as '/chat', got {source!r}"
    if problem is not None:
        raise InvalidOption(f"source: expected {problem}")


def check_dry_run(dry_run: object) -> None:
    """Accept a truth value and nothing that merely counts as one: "no" would.

    Raises:
        TypeError: It is neither True nor False.
    """
    if not isinstance(dry_run, bool):
        raise TypeError(f"dry_run: expected True or False, got {dry_run!r}")


def check_timeout(timeout: float | None, name: str = "timeout") -> None:
    """Accept seconds within the protocol's limits; None is for others to decide.

    Raises:
        TypeError: It is no number.
        InvalidOption: It is below 10 ms, above a day, or NaN.
    """
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"{name}: expected a number of seconds, got {timeout!r}")
    if not SHORTEST_TIMEOUT <= timeout <= LONGEST_TIMEOUT:
        bounds = f"{SHORTEST_TIMEOUT:g} … {LONGEST_TIMEOUT:g}"
        raise InvalidOption(f"{name}: expected {bounds} seconds, got {timeout!r}")


@lru_cache(maxsize=256)
def _what_is_wrong_with(name: str) -> str | None:
    if owner := _OPTIONS.get(name):
        return f"{name!r} is an option {owner}"
    bare = name.replace("_", "").lower()
    meant = _MEANT.get(bare)
    if meant is None and len(bare) >= _SHORTEST_SLIP:
        close = get_close_matches(bare, _MEANT, n=1, cutoff=_LIKENESS)
        meant = _MEANT[close[0]] if close else None
    if meant is not None:
        return f"{name!r} is no attribute of an event; did you mean {meant}?"
    if not _NAME.fullmatch(name):
        return f"attribute {name!r}: expected a name of a-z and 0-9, at most 20 characters"
    return None


def _check_value(name: str, value: Any) -> None:
    if name in _TEXTS and not isinstance(value, str) and (value is not None or name in _REQUIRED):
        raise InvalidEvent(f"expected a text, got {value!r}", pointer=f"/{name}")
    if value is not None and not isinstance(value, str | int):  # bool is an int
        raise TypeError(
            f"attribute {name!r}: expected str, int or bool, got {type(value).__name__}; "
            "attributes are given by their names, such as subject='orders/1'"
        )
    try:
        json_values.check(value)
    except json_values.NotJson as e:
        raise InvalidEvent(e.message, pointer=f"/{name}") from e
    if isinstance(value, str):
        problem = _text_problem(value) if name in _REQUIRED else _character_problem(value)
        if problem is not None:
            raise InvalidEvent(f"expected {problem}", pointer=f"/{name}")


def _text_problem(text: str) -> str | None:
    """Look at a text that every decision repeats, and that a dispatcher remembers."""
    if not text:
        return "a text that is not empty, got ''"
    if len(text) > MAX_TEXT:
        return f"at most {MAX_TEXT} characters, got {len(text)}"
    return _character_problem(text)


def _character_problem(text: str) -> str | None:
    found = _FORBIDDEN.search(text)
    if found is None:
        return None
    what = "control characters" if found[0] < "\ud800" else "halves of surrogate pairs"
    return f"a text without {what}, got {found[0]!r} as character {found.start()}"
