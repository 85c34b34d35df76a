"""Values with which to try what a new schema says: they may have fitted and fit no more. Pure.

All are made only when they are asked for: most findings of a large comparison never are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from hookbus.schemas.facts import KINDS, Facts, Limit
from hookbus.schemas.samples import make_of

MAX_TEXT: Final = 10_000  # characters of a text to try
MAX_ITEMS: Final = 100  # of an array or an object to try

Values: TypeAlias = Callable[[], Iterable[Any]]


def those(*values: Any) -> Values:
    return lambda: values


def typical(facts: Facts) -> Iterator[Any]:
    """Yield values that may fit, of each type that may."""
    yield make_of(facts.said)
    for kind in KINDS:
        if kind not in facts.kinds:
            continue
        yield make_of(facts.said, kind)
        match kind:
            case "string":
                yield from ("", "x", "0", "X y", "\n")
            case "integer":
                yield from (0, 1, -1, 7, 10**6)
            case "object":
                yield {**_object(facts), unused(facts): None}
            case "array":
                yield from ([], [None], [None, None])
            case "boolean":
                yield False


def of_kinds(facts: Facts, kinds: Iterable[str]) -> Iterator[Any]:
    for kind in kinds:
        yield make_of(facts.said, kind)


def around(bound: Any, limit: Limit | None) -> Values:
    """Numbers at the bound that is new, and at the one that was."""
    old = () if limit is None else (limit.value, limit.value - 1, limit.value + 1)
    return those(bound, bound - 1, bound + 1, bound - 0.5, bound + 0.5, *old)


def multiples(facts: Facts, step: Any) -> Iterator[Any]:
    yield from typical(facts)
    for one in (*facts.every("multipleOf"), step / 2):
        yield from (one, 3 * one, 5 * one)


def texts(lengths: Iterable[Any]) -> Iterator[str]:
    for length in lengths:
        if length <= MAX_TEXT:
            yield "x" * int(length)


def arrays(facts: Facts, lengths: Iterable[Any]) -> Iterator[list[Any]]:
    for length in lengths:
        if length <= MAX_ITEMS:
            yield [make_of(facts.item(index)) for index in range(int(length))]


def repeated(facts: Facts) -> Iterator[list[Any]]:
    item = make_of(facts.item(None))
    yield from ([item] * count for count in (2, 3))


def without(facts: Facts, name: str) -> Iterator[dict[str, Any]]:
    """Yield an object that has no such member."""
    yield {k: v for k, v in _object(facts).items() if k != name}


def full(facts: Facts, most: Any) -> Iterator[dict[str, Any]]:
    """Yield objects with many members."""
    base = _object(facts)
    yield {**base, **{name: make_of(facts.member(name)) for name in facts.names}}
    count = int(min(most, MAX_ITEMS)) + 1
    yield {**base, **{f"more{n}": make_of(facts.other()) for n in range(count)}}


def in_member(facts: Facts, name: str | None, tried: Values) -> Iterator[dict[str, Any]]:
    """Yield objects with each value as one member; None is one that nobody names."""
    base = _object(facts)
    called = unused(facts) if name is None else name
    for value in tried():
        yield {**base, called: value}


def in_array(facts: Facts, index: int | None, tried: Values) -> Iterator[list[Any]]:
    """Yield arrays with each value as one item; None is one behind all that have their own."""
    position = facts.longest_prefix if index is None else index
    rest = make_of(facts.said, "array")
    before = [make_of(facts.item(i)) for i in range(position)]
    after = rest[position + 1 :] if isinstance(rest, list) else []
    for value in tried():
        yield [*before, value, *after]
        yield [*before, value]


def all_of(tried: Iterable[Values]) -> Iterator[Any]:
    for values in tried:
        yield from values()


def unused(facts: Facts) -> str:
    """A name that no schema tells anything about."""
    return next(name for n in range(100_000) if (name := f"other{n or ''}") not in facts.names)


def _object(facts: Facts) -> dict[str, Any]:
    made = make_of(facts.said, "object")
    return made if isinstance(made, dict) else {}
