"""Messages to one stream, each kept until the stream has acknowledged it (R28).

A message leaves at once, with an id by which the stream knows it if it comes again, and the
acknowledgement comes back to an inbox. There is no future, task or timer per message: one timer
looks after the oldest, and what was refused or not answered is sent again a window at a time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hookbus.errors import PayloadTooLarge, TransportError
from hookbus.loop import clock_of
from hookbus.measures import Counters
from hookbus.message import Message, is_no_responders
from hookbus.transport import Subscription, Transport
from hookbus.wire.limits import NOT_JSON

MAX_MESSAGES: Final = 10_000  # that wait for an acknowledgement; beyond, the oldest are given up …
MAX_BYTES: Final = 32 * 1024 * 1024  # … and beyond so many bytes of them
ACK_WAIT: Final = 1.0  # seconds without any acknowledgement after which a message counts as lost …
SLOW_WAIT: Final = 5.0  # … and after which it does while others are acknowledged
FIRST_PAUSE: Final = 0.05  # seconds before refused ones are sent again, doubling …
LAST_PAUSE: Final = 4.0  # … to so many
AWAITED_PAUSE: Final = 0.1  # seconds, the longest while an emit waits for an acknowledgement
WINDOW: Final = 256  # messages that are sent again at once …
WINDOW_BYTES: Final = 1024 * 1024  # … and bytes of them, but for one that is larger
STOP_WAIT: Final = 2.0  # seconds that the last acknowledgements have when the dispatcher stops

MESSAGE_ID: Final = "Nats-Msg-Id"
#: A message takes so many bytes more than its body: the header with its id.
OVERHEAD: Final = 512
#: Errors of JetStream that no further attempt changes: the message is too large for the stream.
_FOR_GOOD: Final = (10054, 10097)

log = logging.getLogger(__name__)


class _Error(msgspec.Struct, frozen=True, gc=False):
    description: str = "no description"
    err_code: int = 0


class _Acknowledgement(msgspec.Struct, frozen=True, gc=False):
    """What JetStream answers to what is published; other answers are none."""

    stream: str = ""
    seq: int = 0
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Acknowledgement).decode


class _Outgoing(msgspec.Struct, gc=False):
    """One message. *made* and *sent* on the dispatcher's clock; *stored* gets what is wrong."""

    subject: str
    id: str
    body: bytes
    made: float
    sent: float
    stored: asyncio.Future[str] | None = None


class Outbox:
    """What was handed to the broker for one stream, until it is stored or given up."""

    def __init__(self, transport: Transport, stream: str, counters: Counters) -> None:
        self._transport = transport
        self._stream = stream
        self._counters = counters
        self._prefix = f"{transport.new_inbox()}."
        self._loop = asyncio.get_running_loop()
        self._clock = clock_of(self._loop)
        self._tokens = map(str, itertools.count())
        self._sent: dict[str, _Outgoing] = {}  # by token, in the order of sending
        self._waiting: dict[str, _Outgoing] = {}  # to be sent again, the oldest first
        self._window: set[str] = set()  # sent again, and not answered yet
        self._bytes = 0
        self._awaited = 0
        self._acknowledged = 0
        self._seen = 0  # of these, when the timer came last, …
        self._heard_at = -ACK_WAIT  # … and when it had seen a new one
        self._given_up = 0
        self._problem: str | None = None
        self._pause = FIRST_PAUSE
        self._next_try = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._emptied: asyncio.Future[None] | None = None
        self._inbox: Subscription | None = None

    async def start(self) -> None:
        """Listen for acknowledgements."""
        self._inbox = await self._transport.subscribe(f"{self._prefix}*", self._on_answer)
        self._transport.on_disconnect(self._on_disconnect)
        self._transport.on_reconnect(self._on_reconnect)
        self._transport.on_denied(self._on_denied)

    async def stop(self) -> None:
        """Wait for the last acknowledgements, a while; then give up what is left, and say so."""
        if len(self):
            self._emptied = self._loop.create_future()
            await asyncio.wait([self._emptied], timeout=STOP_WAIT)
        if left := len(self):
            log.warning("given_up stream=%s messages=%d: %s", self._stream, left, self._problem)
        while len(self):
            self._give_up_oldest()
        if self._timer is not None:
            self._timer.cancel()
        if self._inbox is not None:
            await self._inbox.drain()

    def __len__(self) -> int:
        return len(self._sent) + len(self._waiting)

    def state(self) -> Mapping[str, Any]:
        """How it stands; *error* is what the stream said last, None if that was a yes."""
        oldest = [next(iter(each.values())).made for each in (self._sent, self._waiting) if each]
        return {
            "pending": len(self),
            "pending_bytes": self._bytes,
            "oldest_ms": round((self._clock() - min(oldest)) * 1000) if oldest else 0,
            "given_up": self._given_up,
            "error": self._problem,
        }

    def send(
        self, subject: str, id: str, body: bytes, stored: asyncio.Future[str] | None = None
    ) -> str:
        """Hand a message to the connection; it is sent again until it is stored or given up."""
        token, now = next(self._tokens), self._clock()
        self._sent[token] = message = _Outgoing(subject, id, body, now, now, stored)
        self._bytes += len(body)
        while self._bytes > MAX_BYTES or len(self._sent) + len(self._waiting) > MAX_MESSAGES:
            self._give_up_oldest()
        if self._timer is None:
            self._arm(now + ACK_WAIT)
        self._publish(token, message)
        return token

    async def store(self, subject: str, id: str, body: bytes, until: float) -> str | None:
        """Do so and wait for the acknowledgement until a time of the clock; return why not.

        What is not stored then is withdrawn; whether the stream got it is not known.
        """
        now, token = self._clock(), ""
        stored: asyncio.Future[str] = self._loop.create_future()
        self._awaited += 1
        try:
            token = self.send(subject, id, body, stored)
            async with asyncio.timeout(until - self._clock()):
                return await stored or None
        except TimeoutError:
            waited = max(0, round((until - now) * 1000))
            last = f"; the last attempt: {self._problem}" if self._problem else ""
            return f"stream {self._stream} did not acknowledge it within {waited} ms{last}"
        finally:
            self._awaited -= 1
            self._take(token)

    def _publish(self, token: str, message: _Outgoing) -> None:
        try:
            self._transport.post(
                message.subject,
                message.body,
                reply=self._prefix + token,
                headers={MESSAGE_ID: message.id},
            )
        except PayloadTooLarge as e:
            self._give_up(token, str(e))
        except TransportError as e:
            self._put_back(token, str(e))

    def _on_answer(self, message: Message) -> None:
        token = message.subject[len(self._prefix) :]
        try:
            answer = _decode(message.data or b"{}")
        except NOT_JSON:
            return  # anybody can have the bus answer to any inbox
        if answer.seq and answer.stream == self._stream:
            self._on_stored(token)
        elif is_no_responders(message):
            self._put_back(token, "no stream takes it: it is gone, or JetStream is")
        elif answer.error is not None and answer.error.err_code in _FOR_GOOD:
            self._give_up(token, answer.error.description)
        elif answer.error is not None:
            self._put_back(token, answer.error.description)

    def _on_stored(self, token: str) -> None:
        self._acknowledged += 1
        # only those that were sent again say that the others may be, too: one that the stream
        # refuses for ever must not be sent again at each acknowledgement of a new one
        is_again = token in self._window
        message = self._take(token)
        if message is not None and message.stored is not None and not message.stored.done():
            message.stored.set_result("")
        if not self._waiting:
            self._problem, self._pause = None, FIRST_PAUSE
        elif is_again:
            self._pause = FIRST_PAUSE
            if not self._window:
                self._try_again_at(self._clock())

    def _take(self, token: str) -> _Outgoing | None:
        """Forget a message, wherever it stands."""
        self._window.discard(token)
        message = self._sent.pop(token, None) or self._waiting.pop(token, None)
        if message is None:
            return None
        self._bytes -= len(message.body)
        if self._emptied is not None and not len(self) and not self._emptied.done():
            self._emptied.set_result(None)
        return message

    def _give_up_oldest(self) -> None:
        self._give_up(next(iter(self._waiting or self._sent)), "too much waits to be stored")

    def _give_up(self, token: str, problem: str) -> None:
        message = self._take(token)
        if message is None:
            return
        self._problem = problem
        self._given_up += 1
        self._counters.count("unrecorded")
        if message.stored is not None and not message.stored.done():
            message.stored.set_result(problem)

    def _put_back(self, token: str, problem: str) -> None:
        """Keep a message that is not stored for another attempt."""
        self._window.discard(token)
        message = self._sent.pop(token, None)
        if message is None:
            return
        self._problem = problem
        is_first = not self._waiting
        self._waiting[token] = message
        if is_first:
            self._try_again_at(max(self._next_try, self._clock() + self._delay))

    @property
    def _delay(self) -> float:
        return min(self._pause, AWAITED_PAUSE) if self._awaited else self._pause

    def _try_again_at(self, when: float) -> None:
        self._next_try = when
        self._arm(when)

    def _arm(self, when: float) -> None:
        """Let the timer come at *when*, if it would not come earlier."""
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_later(max(0.0, when - self._clock()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._clock()
        self._put_back_silent(now)
        if self._waiting:
            if now >= self._next_try and not self._window:
                self._next_try = now + self._delay
                self._pause = min(2 * self._pause, LAST_PAUSE)
                self._send_window()
            self._arm(max(self._next_try, now + FIRST_PAUSE))
        if self._sent:
            oldest = next(iter(self._sent.values()))
            self._arm(max(oldest.sent + ACK_WAIT, now + FIRST_PAUSE))

    def _put_back_silent(self, now: float) -> None:
        """What nobody answered is lost, unless the stream is only slow."""
        if self._acknowledged > self._seen:
            self._seen, self._heard_at = self._acknowledged, now
        is_slow = now - self._heard_at < ACK_WAIT
        lost = now - (SLOW_WAIT if is_slow else ACK_WAIT)
        for token, message in list(self._sent.items()):
            if message.sent > lost:
                break
            self._put_back(token, f"no acknowledgement within {now - message.sent:.0f} s")

    def _send_window(self) -> None:
        """Send the oldest again; the answers to them bring the next."""
        size = 0
        for token, message in list(itertools.islice(self._waiting.items(), WINDOW)):
            size += len(message.body)
            if self._window and size > WINDOW_BYTES:
                return
            if self._waiting.pop(token, None) is None:
                continue  # stored or withdrawn meanwhile
            message.sent = self._clock()
            self._sent[token] = message
            self._window.add(token)
            self._counters.count("recorded_again")
            self._publish(token, message)

    def _on_disconnect(self) -> None:
        """No answer comes to what is on its way."""
        for token in list(self._sent):
            self._put_back(token, "the broker connection was lost")

    def _on_reconnect(self) -> None:
        self._pause = FIRST_PAUSE
        if self._waiting:
            self._try_again_at(self._clock())

    def _on_denied(self, subject: str) -> None:
        for token in [token for token, m in self._sent.items() if m.subject == subject]:
            self._put_back(token, f"the broker's permissions refuse to publish on {subject!r}")
