"""From a payload to the patch that takes its secrets out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redact_finders import FINDERS, Span

#: the bus refuses a patch with more operations; beyond it one operation replaces the whole.
MAX_OPERATIONS = 256


class InvalidConfig(ValueError):
    """The operator's ``[plugins.redact-secrets.config]`` cannot be used."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What to look for.

    Attributes:
        kinds: of :data:`redact_finders.FINDERS`.
        allow: texts that stay, compared without regard to case.
    """

    kinds: frozenset[str] = frozenset(FINDERS)
    allow: frozenset[str] = frozenset()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Rules:
        """Read the plugin's configuration.

        Raises:
            InvalidConfig: If a key is unknown or a value is not what it must be.
        """
        for key in config:
            if key not in {"kinds", "allow"}:
                raise InvalidConfig(f"{key}: unknown key, expected kinds or allow")
        kinds = _strings(config, "kinds", tuple(FINDERS))
        for kind in kinds:
            if kind not in FINDERS:
                raise InvalidConfig(f"kinds: expected some of {', '.join(FINDERS)}, got {kind!r}")
        allow = _strings(config, "allow", ())
        return cls(frozenset(kinds), frozenset(text.casefold() for text in allow))


def _strings(config: Mapping[str, Any], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = config.get(key, default)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise InvalidConfig(f"{key}: expected a list of strings, got {value!r}")


@dataclass(frozen=True, slots=True)
class Redaction:
    """What was found in one payload: RFC 6902 operations, and how often each kind."""

    patch: list[dict[str, Any]]
    kinds: Counter[str]


def redact_text(text: str, rules: Rules) -> tuple[str, Counter[str]]:
    """Return *text* with a mark in the place of each secret, and what was found how often."""
    pieces: list[str] = []
    found: Counter[str] = Counter()
    position = 0
    for (start, end), kind in _merge(_find(text, rules)):
        pieces += (text[position:start], f"[redacted:{kind}]")
        found[kind] += 1
        position = end
    return "".join((*pieces, text[position:])), found


def _find(text: str, rules: Rules) -> Iterator[tuple[Span, str]]:
    for kind, finder in FINDERS.items():
        if kind in rules.kinds:
            for start, end in finder(text):
                if text[start:end].casefold() not in rules.allow:
                    yield (start, end), kind


def _merge(finds: Iterator[tuple[Span, str]]) -> list[tuple[Span, str]]:
    """Join what overlaps: nothing that any finder found stays visible."""
    order = list(FINDERS)
    merged: list[tuple[Span, str]] = []
    for (start, end), kind in sorted(finds):
        if merged and start < merged[-1][0][1]:
            (first, last), other = merged[-1]
            merged[-1] = ((first, max(last, end)), min(kind, other, key=order.index))
        else:
            merged.append(((start, end), kind))
    return merged


def redact_value(pointer: str, value: Any, rules: Rules) -> Redaction:
    """Return the patch for the strings in *value*, which stands at *pointer*; keys stay."""
    patch: list[dict[str, Any]] = []
    found: Counter[str] = Counter()
    for path, text in _texts(pointer, value):
        redacted, kinds = redact_text(text, rules)
        if kinds:
            patch.append({"op": "replace", "path": path, "value": redacted})
            found += kinds
    if len(patch) > MAX_OPERATIONS:
        patch = [{"op": "replace", "path": pointer, "value": _redacted(value, rules)}]
    return Redaction(patch, found)


def _texts(pointer: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(f"{pointer}/{_token(str(key))}", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _texts(f"{pointer}/{index}", item)


def _token(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _redacted(value: Any, rules: Rules) -> Any:
    if isinstance(value, str):
        return redact_text(value, rules)[0]
    if isinstance(value, Mapping):
        return {key: _redacted(item, rules) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item, rules) for item in value]
    return value
