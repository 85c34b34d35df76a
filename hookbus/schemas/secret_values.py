"""Secret fields found in data, and taken out of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from hookbus import patches
from hookbus.schemas.secret_fields import SecretPath

MASK: Final = "[masked]"


def secrets_in(data: Any, paths: Iterable[SecretPath]) -> Iterator[tuple[str, Any]]:
    """Yield pointer and value of every secret field that *data* has."""
    for path in paths:
        yield from _walk(data, path, ())


def without_secrets(data: Any, paths: Iterable[SecretPath]) -> tuple[Any, tuple[str, ...]]:
    """Return *data* with the mask in place of every secret field, and where those stand."""
    outermost: list[patches.Tokens] = []
    for found in sorted({patches.tokens(pointer) for pointer, _ in secrets_in(data, paths)}):
        # a field within a secret one is gone with it; sorted, it stands somewhere behind that
        if not outermost or found[: len(outermost[-1])] != outermost[-1]:
            outermost.append(found)
    changes = [patches.Operation("replace", path, value=MASK) for path in outermost]
    room = len(changes) * (len(MASK) + 2)
    result = patches.apply(data, changes, max_bytes=room)
    return result, tuple(map(patches.pointer, outermost))


def _walk(value: Any, path: SecretPath, above: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if not path:
        yield patches.pointer(above), value
        return
    step, rest = path[0], path[1:]
    if step is None and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, rest, (*above, str(index)))
    elif isinstance(step, frozenset):
        if isinstance(value, dict):
            for name, member in value.items():
                if name not in step:
                    yield from _walk(member, rest, (*above, name))
    elif step is not None:
        inner = patches.resolve(value, patches.pointer((step,)))
        if inner is not patches.MISSING:
            yield from _walk(inner, rest, (*above, step))
