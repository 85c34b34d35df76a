"""What a scripted plugin is and does, in the notation of the table (README.md). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.flow.scripted import Reply

DEFAULT_TIMEOUT_MS: Final = 1_000
DEFAULT_HOOK: Final = "hook"

_HEAD: Final = re.compile(r"([a-z][a-z0-9-]*)(?:\.([a-z][a-z0-9-]*))?\((.*)\)")
_PHASE: Final = re.compile(r"([mvo])(-?\d+)?")
_PHASES: Final = {"m": "mutate", "v": "validate", "o": "observe"}
_WORDS: Final = {
    "open": ("on_failure", "open"),
    "closed": ("on_failure", "closed"),
    "enforce": ("mode", "enforce"),
    "warn": ("mode", "warn"),
    "shadow": ("mode", "shadow"),
    "off": ("mode", "off"),
    "if_needed": ("reinvoke", "if_needed"),
    "never": ("reinvoke", "never"),
}
_LISTS: Final = ("when", "writable", "rewrites", "cache_key")
#: What a part says about itself and the registry is not told.
_OWN: Final = ("absent", "queue", "version")
_COMMA: Final = re.compile(r",(?![^(]*\))")  # none inside of parentheses
_MACRO: Final = re.compile(r"\$(text|nest|ops|keys)\((\d+)\)")


class NotationError(ValueError):
    """A line of the table that cannot be read."""


@dataclass(frozen=True, slots=True)
class Move:
    """One message of a plugin.

    Attributes:
        size: the honest reply padded to exactly so many bytes.
        emits: an event type that is emitted first; a Block of it becomes the plugin's own.
    """

    reply: Reply
    size: int = 0
    emits: str = ""


Turn = tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One instance of one plugin: its hook, and what it answers in turn, the last for ever."""

    plugin: str
    hook: dict[str, Any]
    turns: tuple[Turn, ...]
    version: str = "1.0.0"
    queue: str | None = None
    is_absent: bool = False


def read_part(line: str, place: int, type: str, scale: float = 1.0) -> Part:
    """Read ``"a(v10,100,closed) -> continue@5"``; all its times are multiplied by *scale*.

    A part without a priority gets one from its *place* in the list, so that lists are in order.
    """
    head, _, script = line.partition(" -> ")
    match = _HEAD.fullmatch(head.strip())
    if match is None:
        raise NotationError(f"{line!r}: expected name(options) -> replies")
    plugin, hook_name, options = match.groups()
    hook, own = _read_options(options, place)
    hook = {"name": hook_name or DEFAULT_HOOK, "type": type, **hook}
    return Part(
        plugin,
        scaled(hook, scale),
        read_turns(script or "continue", scale),
        version=own.get("version", "1.0.0"),
        queue=own.get("queue"),
        is_absent="absent" in own,
    )


def read_turns(script: str, scale: float = 1.0) -> tuple[Turn, ...]:
    """Read ``"extend 200 + continue@250 / silence"``: turns by ``/``, messages of one by ``+``."""
    scanner = _Scanner(expand(script))
    turns: list[Turn] = []
    moves: list[Move] = []
    while True:
        move = _read_move(scanner, scale)
        if move is not None:
            moves.append(move)
        if scanner.take("+"):
            continue
        turns.append(tuple(moves))
        moves = []
        if not scanner.take("/"):
            break
    if not scanner.is_at_end:
        raise NotationError(f"{script!r}: cannot read {scanner.rest!r}")
    return tuple(turns)


def scaled(tree: Any, scale: float) -> Any:
    """Multiply every member whose name ends in ``_ms``."""
    if isinstance(tree, dict):
        return {
            key: _scaled_ms(value, scale) if key.endswith("_ms") else scaled(value, scale)
            for key, value in tree.items()
        }
    return tree


def expand(text: str) -> str:
    """Replace ``$text(N)``, ``$nest(N)``, ``$ops(N)`` and ``$keys(N)`` by so long, deep or many."""
    return _MACRO.sub(lambda match: _MACROS[match[1]](int(match[2])), text)


_MACROS: Final[dict[str, Callable[[int], str]]] = {
    "text": lambda n: '"' + "x" * n + '"',
    "nest": lambda n: "[" * n + "]" * n,
    "ops": lambda n: json.dumps([{"op": "add", "path": "/n", "value": 1}] * n),
    "keys": lambda n: json.dumps({f"k{k:0239}": n for k in range(n)}),
}


def _scaled_ms(value: Any, scale: float) -> Any:
    # 0 is off, and values outside the bounds must stay outside
    return value if value == 0 or scale == 1.0 else max(1, round(value * scale))


def _read_options(text: str, place: int) -> tuple[dict[str, Any], dict[str, str]]:
    hook: dict[str, Any] = {"priority": 10 * (place + 1), "timeout_ms": DEFAULT_TIMEOUT_MS}
    own: dict[str, str] = {}
    for option in filter(None, map(str.strip, _COMMA.split(text))):
        name, has_value, value = option.partition("=")
        phase = _PHASE.fullmatch(option)
        if phase is not None:
            hook["phase"] = _PHASES[phase[1]]
            hook |= {"priority": int(phase[2])} if phase[2] else {}
        elif name in _OWN:
            own[name] = value
        elif has_value:
            hook[name.strip()] = _option_value(name.strip(), value.strip())
        elif option in _WORDS:
            key, word = _WORDS[option]
            hook[key] = word
        else:
            hook["timeout_ms"] = int(option)
    return hook, own


def _option_value(name: str, value: str) -> Any:
    if name in _LISTS:
        return [item.strip().replace('""', "") for item in value.split(";")] if value else []
    return int(value) if re.fullmatch(r"-?\d+", value) else value


def _read_move(scanner: _Scanner, scale: float) -> Move | None:
    word = scanner.word()
    if word == "silence":
        return None
    size, emits, headers, body = 0, "", None, None
    members: dict[str, Any] = {"verdict": word}
    if word == "raw":
        body = str(scanner.json()).encode()
    elif word == "headers":
        headers, body = scanner.json(), b""
    elif word == "says":
        members = scanner.json()
    elif word == "extend":
        members["extend_ms"] = _scaled_ms(scanner.json(), scale)
    elif word == "emit":
        emits, members = scanner.word(), {"verdict": "continue"}
    elif scanner.take_word("of"):
        size = scanner.json()
    else:
        members |= _read_members(scanner)
    after = scanner.number() / 1000 * scale if scanner.take("@") else 0.0
    speaker = scanner.word() if scanner.take_word("as") else None
    return Move(Reply(members, after, body, headers, speaker), size, emits)


def _read_members(scanner: _Scanner) -> dict[str, Any]:
    """Read what stands after a verdict's word: operations, ``merge`` or ``data``, a reason, …"""
    for name in ("merge", "data", "patch"):
        if scanner.take_word(name):
            return {name: scanner.json()} | (_read_members(scanner) if scanner.peek("{") else {})
    if scanner.peek("["):
        return {"patch": scanner.operations()} | (scanner.json() if scanner.peek("{") else {})
    if scanner.peek('"'):
        reason = scanner.json()
        return {"reason": reason} | (scanner.json() if scanner.peek("{") else {})
    return scanner.json() if scanner.peek("{") else {}


class _Scanner:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._decoder = json.JSONDecoder()

    @property
    def rest(self) -> str:
        return self._text[self._at :].strip()

    @property
    def is_at_end(self) -> bool:
        return not self.rest

    def peek(self, text: str) -> bool:
        self._skip()
        return self._text.startswith(text, self._at)

    def take(self, text: str) -> bool:
        if not self.peek(text):
            return False
        self._at += len(text)
        return True

    def take_word(self, word: str) -> bool:
        return bool(re.match(rf"\s*{word}\b", self._text[self._at :])) and self.take(word)

    def word(self) -> str:
        return self._match(r"[A-Za-z][\w.-]*")

    def number(self) -> float:
        return float(self._match(r"\d+(\.\d+)?"))

    def json(self) -> Any:
        self._skip()
        try:
            value, self._at = self._decoder.raw_decode(self._text, self._at)
        except json.JSONDecodeError as e:
            raise NotationError(f"{self._text!r}: expected JSON at {self.rest[:40]!r}") from e
        return value

    def operations(self) -> Any:
        """Read ``[add /x 1; remove /y; move /a /b]``, or an RFC 6902 array as it is."""
        if re.match(r"\[\s*[\]{]", self._text[self._at :]):
            return self.json()
        self.take("[")
        found = [self._operation()]
        while self.take(";"):
            found.append(self._operation())
        if not self.take("]"):
            raise NotationError(f"{self._text!r}: expected ; or ] at {self.rest[:40]!r}")
        return found

    def _operation(self) -> dict[str, Any]:
        name = self.word()
        if name in ("move", "copy"):
            return {"op": name, "from": self._pointer(), "path": self._pointer()}
        operation: dict[str, Any] = {"op": name, "path": self._pointer()}
        return operation if name == "remove" else operation | {"value": self.json()}

    def _pointer(self) -> str:
        return self._match(r'""|/[^\s;\]]*').replace('""', "")

    def _match(self, pattern: str) -> str:
        self._skip()
        match = re.compile(pattern).match(self._text, self._at)
        if match is None:
            raise NotationError(f"{self._text!r}: expected {pattern} at {self.rest[:40]!r}")
        self._at = match.end()
        return match[0]

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
