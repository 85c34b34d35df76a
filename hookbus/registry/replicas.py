"""Which replicas of a plugin announced what; the last that was accepted is in force. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from hookbus.manifest.announcement import Announcement

#: That are kept beside the one in force: replicas that crash never say that they left.
MAX_OTHERS: Final = 4


class Said(msgspec.Struct, frozen=True):
    """An announcement as it is kept, and which instances made it."""

    announcement: dict[str, Any]
    instances: tuple[str, ...] = ()


class Kept(Said, frozen=True):
    """A plugin's announcement in force.

    Attributes:
        others: what replicas of another version or with other hooks said, the newest first. It
            is returned to when the one in force has no replica any more (a rolled back upgrade).
    """

    others: tuple[Said, ...] = ()


def accept(kept: Kept | None, announcement: Announcement) -> Kept:
    """Put *announcement* in force; what other replicas said is kept behind it."""
    first, *others = _add(_all(kept) if kept else (), announcement)
    return Kept(first.announcement, first.instances, tuple(others[:MAX_OTHERS]))


def let_wait(kept: Kept, announcement: Announcement) -> Kept:
    """Keep an announcement that is refused as long as the one in force has replicas."""
    in_force, *_ = _leave(_all(kept), announcement.instance)
    others = _add(kept.others, announcement)[:MAX_OTHERS]
    return Kept(in_force.announcement, in_force.instances, others)


def return_to(kept: Kept, left: tuple[Said, ...], is_usable: Callable[[Said], bool]) -> Kept:
    """Put the first of what is *left* in force that is usable; if none is, all stays as it is."""
    chosen = next(filter(is_usable, left), Said(kept.announcement))
    others = tuple(said for said in left if said is not chosen)
    return Kept(chosen.announcement, chosen.instances, others)


def put_first(kept: Kept, said: Said) -> Kept:
    """Put what waited in force."""
    others = tuple(other for other in _all(kept) if other is not said)
    return Kept(said.announcement, said.instances, others[:MAX_OTHERS])


def without(kept: Kept, instance: str) -> tuple[Said, ...]:
    """What is still said by somebody when *instance* has left; the one in force is the first."""
    return tuple(said for said in _leave(_all(kept), instance) if said.instances)


def with_same(kept: Kept, announcement: Announcement) -> set[str]:
    """Which instances said the same as *announcement*."""
    document = announcement.to_document()
    return {i for said in _all(kept) if _is_same(said, document) for i in said.instances}


def _all(kept: Kept) -> tuple[Said, ...]:
    return (Said(kept.announcement, kept.instances), *kept.others)


def _add(said: Iterable[Said], announcement: Announcement) -> tuple[Said, ...]:
    """Put an announcement first, beside those who said the same; nobody says two things."""
    document = announcement.to_document()
    others = [s for s in _leave(said, announcement.instance) if s.instances]
    same = [i for s in others if _is_same(s, document) for i in s.instances]
    rest = (s for s in others if not _is_same(s, document))
    return Said(document, (*same, announcement.instance)), *rest


def _leave(said: Iterable[Said], instance: str) -> list[Said]:
    return [Said(s.announcement, tuple(i for i in s.instances if i != instance)) for s in said]


def _is_same(said: Said, document: dict[str, Any]) -> bool:
    return said.announcement | {"instance": ""} == document | {"instance": ""}
