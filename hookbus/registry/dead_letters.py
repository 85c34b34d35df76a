"""Dead letters are written: out of what JetStream says of messages that it gives up.

What it says is kept in a stream of its own until a registry has made a letter of it, so that
nothing is lost while none runs. Registries share that work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from hookbus import subjects
from hookbus.errors import Disconnected, HookbusError, PayloadTooLarge, TransportError
from hookbus.message import Message
from hookbus.registry.letters import Letter, decode_advisory, letter_of, was_taken_away
from hookbus.streams import Streams
from hookbus.transport import Subscription, Transport
from hookbus.wire.limits import NOT_JSON

STORE_TIMEOUT: Final = 5.0  # seconds
MAX_AT_ONCE: Final = 8  # letters
AGAIN: Final = b'-NAK {"delay":1000000000}'  # what could not be stored, after a second

log = logging.getLogger(__name__)


class DeadLetters:
    """Writes letters from :meth:`start` to :meth:`stop`; *written* counts them."""

    def __init__(
        self, transport: Transport, streams: Streams, on_taken_away: Callable[[str], None]
    ) -> None:
        """*on_taken_away* hears the consumer of each event that a limit took out of its hands."""
        self._transport = transport
        self._streams = streams
        self._on_taken_away = on_taken_away
        self._subscription: Subscription | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self.written = 0

    async def start(self) -> None:
        self._subscription = await self._transport.subscribe(
            subjects.ADVISORIES_INBOX, self._on_advisory, queue=subjects.REGISTRY_QUEUE
        )

    async def stop(self) -> None:
        if self._subscription is not None:
            await self._subscription.drain()
        if self._running:
            await asyncio.wait(self._running)

    def _on_advisory(self, message: Message) -> None:
        # NATS does not check reply subjects: others can have the broker write here
        is_ours = message.subject.startswith(subjects.ADVISORIES)
        if is_ours and message.reply.startswith(subjects.JETSTREAM_ACK):
            task = asyncio.get_running_loop().create_task(self._take(message))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _take(self, message: Message) -> None:
        answer = b"+ACK"
        try:
            async with self._slots:
                await self._write(message.data)
        except Disconnected:
            return  # it comes again
        except HookbusError as e:
            log.warning("dead_letter_not_stored: %s; trying on", e)
            answer = AGAIN
        except Exception:  # a defect; what JetStream said is not lost by it
            log.exception("dead_letter_not_stored")
            answer = AGAIN
        try:
            await self._transport.publish(message.reply, answer)
        except TransportError as e:  # it comes again, and is known then
            log.info("advisory_not_acknowledged: %s", e)

    async def _write(self, body: bytes) -> None:
        try:
            advisory = decode_advisory(body)
        except NOT_JSON as e:
            log.warning("malformed_advisory: %s", e)
            return
        stored = await self._streams.read(subjects.OBSERVE_STREAM, advisory.stream_seq)
        if was_taken_away(advisory, stored):
            self._on_taken_away(advisory.consumer)
            return
        letter = letter_of(advisory, stored)
        if letter is None:
            return
        place = await self._streams.place(subjects.OBSERVE_STREAM, advisory.consumer)
        # with the consumer's birth: what is given up again after a replay is a letter of its own
        born = int(place.created * 1e6) if place else 0
        identity = f"{advisory.stream}.{advisory.consumer}.{born}.{advisory.stream_seq}"
        try:
            await self._store(letter, identity)
        except PayloadTooLarge:
            short = msgspec.structs.replace(
                letter,
                observed=msgspec.Raw(b"null"),
                error=f"{letter.error}; with the event it would be too large for the broker",
            )
            await self._store(short, identity)

    async def _store(self, letter: Letter, identity: str) -> None:
        acknowledgement = await self._transport.request(
            subjects.dead_letter(letter.plugin, letter.hook),
            msgspec.json.encode(letter),
            timeout=STORE_TIMEOUT,
            headers={"Nats-Msg-Id": identity},
        )
        if not is_duplicate(acknowledgement):
            self.written += 1
            # not what went wrong: a plugin's words may quote what is secret in the event
            log.warning(
                "dead_letter plugin=%s hook=%s tries=%d; 'hookbus dlq' says why",
                *(letter.plugin, letter.hook, letter.tries),
            )


class _Stored(msgspec.Struct, frozen=True):
    """JetStream's acknowledgement of a published message."""

    error: dict[str, object] | None = None
    duplicate: bool = False


def is_duplicate(acknowledgement: Message) -> bool:
    """Read what a stream says to a message: whether it had it already.

    Raises:
        TransportError: It did not store it.
    """
    try:
        said = msgspec.json.decode(acknowledgement.data, type=_Stored)
    except NOT_JSON as e:
        raise TransportError(f"no acknowledgement of a stream: {e}") from e
    if said.error is not None:
        raise TransportError(f"not stored: {said.error.get('description')}")
    return said.duplicate
