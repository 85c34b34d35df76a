"""A second opinion on one reply, written from protocol.md section 3. Imports no hookbus. Pure.

Where the protocol leaves it open, more than one result is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fuzz.rfc6902 import CannotApply, apply, depth, merge

MAX_REPLY = 256 * 1024
MAX_OPERATIONS = 256
MAX_DEPTH = 64
WORDS = ("continue", "intercept", "block", "extend", "error")
CHANGES = ("patch", "merge", "data")
NOT_GIVEN = object()


@dataclass(frozen=True)
class Asked:
    """The call that is answered; *speaker* is the last token of the reply's subject."""

    plugin: str
    call: str
    attempt: int
    phase: str
    data: Any
    speaker: str


@dataclass(frozen=True)
class Meaning:
    """What one reply may mean: ``continue intercept block failure dropped extend``."""

    words: frozenset[str]
    data: Any = NOT_GIVEN

    @classmethod
    def of(cls, *words: str, data: Any = NOT_GIVEN) -> Meaning:
        return cls(frozenset(words), data)


FAILURE = Meaning.of("failure")
DROPPED = Meaning.of("dropped")


def judge(body: bytes, headers: Mapping[str, str] | None, asked: Asked) -> Meaning:
    """Say what a reply means."""
    if asked.speaker != asked.plugin:
        return DROPPED
    if headers and "Status" in headers:
        return FAILURE if headers["Status"] == "503" and not body else DROPPED
    given = {name.lower() for name in headers or ()}
    if not given.isdisjoint(("nats-service-error", "nats-service-error-code")):
        return FAILURE
    if not body or len(body) > MAX_REPLY:
        return FAILURE
    try:
        members, is_odd = _decoded(body)
    except (ValueError, RecursionError):
        return FAILURE
    if not isinstance(members, dict):
        return FAILURE
    meaning = _identity(members, asked) or _verdict(members, asked)
    if is_odd and not meaning.words & {"block"}:
        return Meaning(meaning.words | {"failure"}, meaning.data)
    if depth(members) > MAX_DEPTH:
        return Meaning(meaning.words | {"failure"}, meaning.data)
    return meaning


def _decoded(body: bytes) -> tuple[Any, bool]:
    """Decode strictly; also tell whether it holds what not every JSON library can hold."""
    odd: list[str] = []

    def integer(text: str) -> float:
        if len(text) > 4_000:
            odd.append(text)
            return float("inf")
        return int(text)

    def decimal(text: str) -> float:
        number = float(text)
        if number in (float("inf"), float("-inf")):
            odd.append(text)
        return number

    def refuse(text: str) -> float:
        raise ValueError(text)

    def object_(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            odd.append("a repeated key")  # the last counts; refusing the others is no guess
        return dict(pairs)

    found = json.loads(
        body.decode(),
        parse_int=integer,
        parse_float=decimal,
        parse_constant=refuse,
        object_pairs_hook=object_,
    )
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        odd.append("a lone surrogate")
    return found, bool(odd)


def _identity(members: dict[str, Any], asked: Asked) -> Meaning | None:
    """What a reply must name; with several things wrong any of their results will do."""
    wrong: set[str] = set()
    version, attempt = members.get("v"), members.get("attempt")
    if not _is_integer(version) or version != 1:
        wrong.add("failure")
    if not isinstance(members.get("plugin"), str):
        wrong.add("failure")
    elif members["plugin"] != asked.plugin:
        wrong.add("dropped")
    if not isinstance(members.get("verdict"), str):
        wrong.add("failure")
    if members.get("call") != asked.call:
        wrong.add("failure")
    if isinstance(attempt, bool) or not isinstance(attempt, int) or attempt > asked.attempt:
        wrong.add("failure")
    elif attempt < asked.attempt:
        wrong.add("dropped")
    return Meaning(frozenset(wrong)) if wrong else None


def _verdict(members: dict[str, Any], asked: Asked) -> Meaning:
    word = members["verdict"]
    if word == "block":
        return Meaning.of("block")
    is_typed = _is_typed(members)
    if word not in WORDS or word == "error":
        return FAILURE
    if word == "extend":
        return Meaning.of("extend") if is_typed else Meaning.of("extend", "failure")
    given = [name for name in CHANGES if name in members]
    if len(given) != (word == "intercept"):
        return FAILURE
    if word == "intercept" and asked.phase == "validate":
        return FAILURE
    meaning = _change(given[0], members[given[0]], asked.data) if given else Meaning.of("continue")
    return meaning if is_typed else Meaning(meaning.words | {"failure"}, meaning.data)


def _change(name: str, value: Any, data: Any) -> Meaning:
    try:
        if name == "patch":
            if isinstance(value, list) and len(value) > MAX_OPERATIONS:
                return FAILURE
            changed, written = apply(data, value)
        else:
            changed, written = merge(data, value) if name == "merge" else value, 0
    except CannotApply:
        return FAILURE
    if depth(changed) > MAX_DEPTH:
        return FAILURE
    size = len(json.dumps(changed)) + written
    if size > 16 * 1024 or depth(value) > MAX_DEPTH:  # near a limit: the real sizes are its own
        return Meaning.of("intercept", "failure", data=changed)
    return Meaning.of("intercept", data=changed)


def _is_typed(members: dict[str, Any]) -> bool:
    """The members that the protocol names are what it says."""
    texts = ("version", "reason", "code", "message")
    are_texts = all(isinstance(members[name], str) for name in texts if name in members)
    more = members.get("extend_ms", 0)
    return are_texts and _is_integer(more)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
