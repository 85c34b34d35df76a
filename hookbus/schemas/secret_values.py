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


def without_secrets(data: Any, paths: Iterable[SecretPath]) -> Any:
    """Return *data* with the mask in place of every secret field."""
    found = [patches.tokens(pointer) for pointer, _ in secrets_in(data, paths)]
    found.sort(key=len, reverse=True)  # what is inside another one first, while it is there
    operations = [patches.Operation("replace", tokens, value=MASK) for tokens in found]
    return patches.apply(data, operations, max_bytes=len(MASK) * 2 * (len(found) + 1))


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
