"""Operators' requests about observers: dead letters, and events of earlier shown again."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final

from hookbus import subjects
from hookbus.errors import ControlError
from hookbus.manifest.problems import shown as quoted
from hookbus.registry.configuration import Made
from hookbus.registry.letter_box import LetterBox, shown
from hookbus.registry.observers import consumer_of
from hookbus.registry.registry import Registry
from hookbus.registry.requests import Operation, flag_of, integer_of, invalid, name_of
from hookbus.snapshot import Binding
from hookbus.streams import Streams

MAX_LETTERS: Final = 100  # of one request: the answer must fit into a message
_STREAM: Final = subjects.OBSERVE_STREAM

log = logging.getLogger(__name__)


class ObserverControl:
    """Carries these operations out; they join those of `Control`."""

    def __init__(self, registry: Registry, streams: Streams, box: LetterBox) -> None:
        self._registry = registry
        self._streams = streams
        self._box = box
        self.operations: dict[str, Operation] = {
            "dlq": self._list,
            "dlq_retry": self._retry,
            "dlq_drop": self._drop,
            "replay": self._replay,
        }

    async def _list(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """List letters, the oldest first, so many behind `after`; or show one in full."""
        types = (await self._registry.settings.refresh()).bound.document.types
        if request.get("id") is not None:
            identity = integer_of(request, "id", 0)
            letter = await self._box.letter(identity)
            return {"letters": [shown(identity, letter, types)], "next": None}
        most = min(MAX_LETTERS, integer_of(request, "n", MAX_LETTERS))
        plugin = name_of(request) if request.get("plugin") is not None else None
        found: list[dict[str, Any]] = []
        async for identity, letter in self._box.letters(plugin, integer_of(request, "after", 0)):
            if len(found) == most:
                return {"letters": found, "next": found[-1]["id"] if found else 0}
            whole = shown(identity, letter, types)
            found.append({name: value for name, value in whole.items() if name != "observed"})
        return {"letters": found, "next": None}

    async def _retry(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send events to the hooks again that could not handle them; what cannot be sent stays."""
        retried: list[int] = []
        left: list[dict[str, Any]] = []
        replicas: dict[str, bool] = {}
        chosen, further = await self._chosen(request)
        for identity in chosen:
            letter = await self._box.letter(identity)
            if why := await self._box.retry(identity, letter, replicas):
                left.append({"id": identity, "why": why})
            else:
                retried.append(identity)
        log.info("dead letters sent again by %s: %d, left: %d", principal, len(retried), len(left))
        return {"retried": retried, "left": left, **further}

    async def _drop(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """Throw letters away."""
        chosen, further = await self._chosen(request)
        for identity in chosen:
            await self._box.drop(identity)
        log.info("dead letters dropped by %s: %d", principal, len(chosen))
        return {"dropped": chosen, **further}

    async def _chosen(self, request: dict[str, Any]) -> tuple[list[int], dict[str, int | None]]:
        """Which letters a request is about: one, a plugin's, or all; and where to go on.

        Those that are there, and not those that come meanwhile: what fails again does not go round.
        """
        by = [member for member in ("id", "plugin") if request.get(member) is not None]
        if len(by) + flag_of(request, "all") != 1:
            raise invalid("", "expected one of id, plugin, or all: true")
        if "id" in by:
            identity = integer_of(request, "id", 0)
            await self._box.letter(identity)
            return [identity], {"next": None, "until": identity}
        plugin = name_of(request) if by else None
        until = integer_of(request, "until", await self._box.last())
        chosen: list[int] = []
        async for identity, _ in self._box.letters(plugin, integer_of(request, "after", 0)):
            if identity > until:
                break
            if len(chosen) == MAX_LETTERS:
                return chosen, {"next": chosen[-1], "until": until}
            chosen.append(identity)
        return chosen, {"next": None, "until": until}

    async def _replay(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """Show observers again what was stored since a moment. Nothing that waits is left out."""
        plugin, since = name_of(request), _moment(request)
        hook = name_of(request, "hook") if request.get("hook") is not None else None
        made = await self._registry.settings.refresh()
        bindings = _observing(made, plugin, hook)
        start = await self._first_since(since)
        oldest = await self._streams.find(_STREAM, 1, subjects.STREAM_SUBJECTS[_STREAM])
        hooks = [await self._restart(binding, start, made) for binding in bindings]
        log.info("replay plugin=%s since=%s by %s", plugin, request["since"], principal)
        return {
            "hooks": hooks,
            "oldest": None if oldest is None else _timestamp(oldest.stored_at),
            "observe": made.state.settings.observe,
        }

    async def _restart(self, binding: Binding, start: int, made: Made) -> dict[str, Any]:
        name = subjects.consumer(binding.plugin, binding.hook)
        place = await self._streams.place(_STREAM, name)
        is_behind = place is not None and place.next <= start
        spec = consumer_of(binding, made.state.settings.observers.redelivery, start)
        if spec is not None and not is_behind:
            await self._streams.restart_consumer(spec)
        place = await self._streams.place(_STREAM, name)
        waiting = place.waiting + place.unanswered if place is not None else 0
        return {"hook": binding.hook, "waiting": waiting, "is_behind": is_behind}

    async def _first_since(self, since: float) -> int:
        """Find the first sequence that was stored at *since* or later."""
        extent = await self._streams.extent(_STREAM)
        low, high = extent.first, extent.last + 1
        while low < high:
            middle = (low + high) // 2
            found = await self._streams.find(_STREAM, middle, ">")
            if found is None or found.stored_at >= since:
                high = middle
            else:
                low = found.sequence + 1
        return max(1, low)


def _observing(made: Made, plugin: str, hook: str | None) -> list[Binding]:
    """The observing hooks that are meant.

    Raises:
        ControlError: There is none.
    """
    bindings = made.bound.document.bindings
    own = [b for b in bindings if b.plugin == plugin and b.phase == "observe"]
    meant = [b for b in own if hook in (None, b.hook)]
    if not meant:
        has = ", ".join(b.hook for b in own) or "none"
        raise ControlError(
            f"plugin {plugin!r} has no such hook that observes and is bound; it has: {has}",
            code="unknown_hook",
            pointer="/hook" if hook else "/plugin",
        )
    return meant


def _moment(request: dict[str, Any]) -> float:
    said = request.get("since")
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        moment = None
    if moment is None:
        expected = "expected a moment like 2026-11-21T10:00:00Z"
        raise invalid("/since", f"{expected}, got {quoted(said)}")
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _timestamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
