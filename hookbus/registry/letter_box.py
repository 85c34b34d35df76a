"""The dead letters that are kept: listed, shown, sent again, thrown away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from hookbus import presence, subjects
from hookbus.catalog import BUILT_IN, EventType, TypeSettings
from hookbus.errors import ControlError, HookbusError
from hookbus.registry.dead_letters import STORE_TIMEOUT, is_duplicate
from hookbus.registry.letters import TRIES, Letter, decode_letter, event_of, masked, summary
from hookbus.streams import StoredMessage, Streams
from hookbus.transport import Transport
from hookbus.wire.limits import NOT_JSON

PRESENCE_WINDOW: Final = 0.15  # seconds to wait for who is there
_EVERYBODY: Final = subjects.STREAM_SUBJECTS[subjects.DLQ_STREAM]


class LetterBox:
    """HOOKBUS_DLQ; a letter's id is its sequence there."""

    def __init__(self, transport: Transport, streams: Streams) -> None:
        self._transport = transport
        self._streams = streams

    async def counts(self) -> dict[tuple[str, str], int]:
        """How many letters each hook has."""
        found = await self._streams.extent(subjects.DLQ_STREAM, _EVERYBODY)
        return {_owner(subject): count for subject, count in found.messages.items()}

    async def last(self) -> int:
        """The id of the last letter that was ever written."""
        return (await self._streams.extent(subjects.DLQ_STREAM)).last

    async def letters(self, plugin: str | None, after: int) -> AsyncIterator[tuple[int, Letter]]:
        """Yield the letters behind that id, of one plugin or of all."""
        subject = subjects.dead_letter(plugin, ">") if plugin else _EVERYBODY
        while found := await self._streams.find(subjects.DLQ_STREAM, after + 1, subject):
            after = found.sequence
            yield after, _letter(found)

    async def letter(self, identity: int) -> Letter:
        """Return one letter.

        Raises:
            ControlError: There is none of that id.
        """
        found = await self._streams.read(subjects.DLQ_STREAM, identity) if identity else None
        if found is None:
            raise ControlError(
                f"there is no dead letter {identity}: it was dropped, handled or is too old;"
                " 'hookbus dlq' lists those that are there",
                code="unknown_letter",
                pointer="/id",
            )
        return _letter(found)

    async def drop(self, identity: int) -> None:
        """Throw one letter away."""
        await self._streams.delete(subjects.DLQ_STREAM, identity)

    async def retry(self, identity: int, letter: Letter, replicas: dict[str, bool]) -> str:
        """Send a letter's event to its hook again, and to nobody else; return why not, or ``""``.

        It goes into the stream of observed events first, so that nothing is lost on the way, and
        then the letter is gone; what fails again comes back as a letter. *replicas* remembers
        which plugins answer.
        """
        plugin, hook = letter.plugin, letter.hook
        if letter.is_empty:
            return "the event is not in it any more"
        name = subjects.consumer(plugin, hook)
        if await self._streams.place(subjects.OBSERVE_STREAM, name) is None:
            return f"no hook {hook} of {plugin} is bound to observe"
        if plugin not in replicas:
            window = PRESENCE_WINDOW
            replicas[plugin] = bool(
                await presence.ask(self._transport, "PING", plugin, window=window)
            )
        if not replicas[plugin]:
            return f"no replica of {plugin} answers; start it"
        try:
            acknowledgement = await self._transport.request(
                subjects.retry(plugin, hook),
                bytes(letter.observed),
                timeout=STORE_TIMEOUT,
                headers={"Nats-Msg-Id": f"letter.{identity}", TRIES: str(letter.tries)},
            )
            is_duplicate(acknowledgement)
        except HookbusError as e:
            return f"it could not be sent: {e}"
        await self.drop(identity)
        return ""


def shown(identity: int, letter: Letter, types: dict[str, TypeSettings]) -> dict[str, Any]:
    """One letter in full for an operator, without what is secret by *types*."""
    name = event_of(letter).get("type")
    secrets = None
    if isinstance(name, str) and (name in types or name in BUILT_IN):
        secrets = EventType(name, types.get(name, TypeSettings())).secrets
    return {**summary(identity, letter), **masked(letter, secrets)}


def _owner(subject: str) -> tuple[str, str]:
    """``"hookbus.dlq.audit-log.every-event" → ("audit-log", "every-event")``"""
    plugin, _, hook = subject.removeprefix(_EVERYBODY.rstrip(">")).partition(".")
    return plugin, hook


def _letter(found: StoredMessage) -> Letter:
    """Decode; what another version wrote, and this one cannot read, can still be dropped."""
    try:
        return decode_letter(found.data)
    except NOT_JSON as e:
        plugin, hook = _owner(found.subject)
        error = f"this letter cannot be read: {e}"
        return Letter(plugin=plugin, hook=hook, tries=0, error=error, at="", sequence=0)
