"""Streams and durable push consumers in memory."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hookbus import subjects
from hookbus.message import Message
from hookbus.streams import ConsumerSpec, StreamSpec
from hookbus.testing.memory_message import MemoryMessage

_NO_ROOM: Final = 10047
_ADVISORY: Final = "$JS.EVENT.ADVISORY.CONSUMER"

Route = Callable[[Message], None]
HandToGroup = Callable[[Message, str, str], bool]


@dataclass(slots=True)
class Stream:
    """What a stream captured, unless it refuses; message n has the sequence n, counted from 1."""

    spec: StreamSpec
    refusal: str | None = None  # what it answers to every message: its disk is full
    messages: list[Message] = field(default_factory=list)
    sequences_by_id: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Consumer:
    """How far one durable consumer is."""

    spec: ConsumerSpec
    due: deque[int] = field(default_factory=deque)  # sequences to deliver next
    deliveries: dict[int, int] = field(default_factory=dict)  # of what is not acknowledged
    timers: dict[int, asyncio.TimerHandle] = field(default_factory=dict)
    delivered: int = 0


class JetStream:
    """The streams of one `MemoryBroker`. Nothing ages, and no limit of size is enforced.

    *route* publishes; *hand_to_group* delivers to one member of a group, and says whether there
    is one.
    """

    def __init__(self, route: Route, hand_to_group: HandToGroup) -> None:
        self._route = route
        self._hand_to_group = hand_to_group
        self.streams: dict[str, Stream] = {}
        self.consumers: dict[tuple[str, str], Consumer] = {}

    def set_consumer(self, spec: ConsumerSpec) -> None:
        known = self.consumers.get((spec.stream, spec.name))
        if known is None:
            self.consumers[spec.stream, spec.name] = Consumer(spec)
        else:
            known.spec = spec
            self._deliver_due(known)

    def delete_consumer(self, stream: str, name: str) -> None:
        consumer = self.consumers.pop((stream, name), None)
        for timer in consumer.timers.values() if consumer else ():
            timer.cancel()

    def resume(self) -> None:
        """Deliver what waited for somebody who takes it."""
        for consumer in self.consumers.values():
            self._deliver_due(consumer)

    def take(self, message: Message) -> bool:
        """Store *message*, or read it as an acknowledgement; False when it is none of ours."""
        if message.subject.startswith(subjects.JETSTREAM_ACK):
            self._on_acknowledgement(message)
            return True
        taking = [
            stream
            for stream in self.streams.values()
            if subjects.type_matches(stream.spec.subject, message.subject)
        ]
        for stream in taking:
            self._store(stream, message)
        return bool(taking)

    def _store(self, stream: Stream, message: Message) -> None:
        name = stream.spec.name
        if stream.refusal is not None:
            error = {"code": 503, "err_code": _NO_ROOM, "description": stream.refusal}
            self._confirm(message.reply, {"error": error, "stream": name, "seq": 0})
            return
        identity = (message.headers or {}).get("Nats-Msg-Id", "")
        known = stream.sequences_by_id.get(identity) if identity else None
        if known is not None:
            self._confirm(message.reply, {"stream": name, "seq": known, "duplicate": True})
            return
        stream.messages.append(message)
        sequence = len(stream.messages)
        if identity:
            stream.sequences_by_id[identity] = sequence
        self._confirm(message.reply, {"stream": name, "seq": sequence})
        for consumer in self.consumers.values():
            wanted = consumer.spec.filter_subject
            if consumer.spec.stream == name and subjects.type_matches(wanted, message.subject):
                consumer.due.append(sequence)
                self._deliver_due(consumer)

    def _confirm(self, reply: str, acknowledgement: dict[str, Any]) -> None:
        if reply:
            self._route(MemoryMessage(reply, _json(acknowledgement)))

    def _deliver_due(self, consumer: Consumer) -> None:
        while consumer.due and self._deliver(consumer, consumer.due[0]):
            consumer.due.popleft()

    def _deliver(self, consumer: Consumer, sequence: int) -> bool:
        """Hand a message to one of the group; False when nobody is there to take it."""
        spec = consumer.spec
        if spec.is_paused:
            return False
        loop = asyncio.get_running_loop()
        stored = self.streams[spec.stream].messages[sequence - 1]
        count = consumer.deliveries.get(sequence, 0) + 1
        reply = (
            f"{subjects.JETSTREAM_ACK}{spec.stream}.{spec.name}.{count}.{sequence}."
            f"{consumer.delivered + 1}.{int(loop.time() * 1e9)}.{len(consumer.due) - 1}"
        )
        message = MemoryMessage(stored.subject, stored.data, reply, stored.headers)
        if not self._hand_to_group(message, spec.deliver_subject, spec.deliver_group):
            return False
        consumer.delivered += 1
        consumer.deliveries[sequence] = count
        self._deliver_again_in(consumer, sequence, spec.ack_wait)
        return True

    def _deliver_again_in(self, consumer: Consumer, sequence: int, delay: float) -> None:
        self._cancel_timer(consumer, sequence)
        consumer.timers[sequence] = asyncio.get_running_loop().call_later(
            delay, self._deliver_again, consumer, sequence
        )

    def _deliver_again(self, consumer: Consumer, sequence: int) -> None:
        self._cancel_timer(consumer, sequence)
        spec = consumer.spec
        if 0 < spec.max_deliver <= consumer.deliveries[sequence]:
            deliveries = consumer.deliveries.pop(sequence)
            self._advise(spec, "MAX_DELIVERIES", sequence, deliveries, {})
        else:
            consumer.due.appendleft(sequence)
            self._deliver_due(consumer)

    def _on_acknowledgement(self, message: Message) -> None:
        tokens = message.subject.split(".")[2:]
        if len(tokens) < 4 or not re.fullmatch("[0-9]{1,18}", tokens[3]):
            return  # as the server does with what is no acknowledgement
        consumer = self.consumers.get((tokens[0], tokens[1]))
        sequence = int(tokens[3])
        if consumer is None or sequence not in consumer.timers:
            return
        word, _, detail = message.data.decode(errors="replace").partition(" ")
        if word == "+WPI":
            self._deliver_again_in(consumer, sequence, consumer.spec.ack_wait)
        elif word == "-NAK":
            nanoseconds = json.loads(detail)["delay"] if detail else 0
            self._deliver_again_in(consumer, sequence, nanoseconds / 1e9)
        elif word in ("", "+ACK", "+TERM"):
            self._cancel_timer(consumer, sequence)
            deliveries = consumer.deliveries.pop(sequence)
            if word == "+TERM":
                self._advise(
                    consumer.spec, "MSG_TERMINATED", sequence, deliveries, {"reason": detail}
                )
        if message.reply:
            self._route(MemoryMessage(message.reply, b""))

    def _cancel_timer(self, consumer: Consumer, sequence: int) -> None:
        timer = consumer.timers.pop(sequence, None)
        if timer is not None:
            timer.cancel()

    def _advise(
        self, spec: ConsumerSpec, what: str, sequence: int, deliveries: int, more: dict[str, str]
    ) -> None:
        """Tell who listens that a message will not be delivered again."""
        advisory = {
            "stream": spec.stream,
            "consumer": spec.name,
            "stream_seq": sequence,
            "deliveries": deliveries,
            **more,
        }
        subject = f"{_ADVISORY}.{what}.{spec.stream}.{spec.name}"
        self._route(MemoryMessage(subject, _json(advisory)))


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
