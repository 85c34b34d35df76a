"""Observed messages: each is handled and acknowledged, asked for again, or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from hookbus import subjects
from hookbus.otel.handlers import HandlerSpans
from hookbus.plugin.declare import Hook
from hookbus.plugin.handle import HandlerFailed, Handling
from hookbus.printable import shorten
from hookbus.transport import Message
from hookbus.wire.call import decode_observed
from hookbus.wire.limits import NOT_JSON
from hookbus.wire.redelivery import Redelivery, tries_of

#: Seconds after which an observer's handler is stopped: with authentication the broker takes 16
#: words about one message, within two minutes.
TIMEOUT: Final = 110.0
WORKING_INTERVAL: Final = 10.0  # seconds, at most, between two signs that a handler still works
MAX_ERROR: Final = 256  # characters of what a dead letter says

DONE: Final = b"+ACK"
WORKING: Final = b"+WPI"


class Observing:
    """Takes observed messages for the hooks of one plugin."""

    def __init__(
        self,
        plugin: str,
        handling: Handling,
        spans: HandlerSpans,
        publish: Callable[[str, bytes], Awaitable[None]],
    ) -> None:
        self._plugin = plugin
        self._handling = handling
        self._spans = spans
        self._publish = publish
        #: As the registry has it; until it has said so, the defaults.
        self.redelivery = Redelivery()

    async def take(self, hook: Hook, message: Message) -> str | None:
        """Handle one message and answer the stream; return what went wrong, ``""`` if nothing.

        None: it was none of ours.
        """
        if not message.reply.startswith(subjects.JETSTREAM_ACK):
            return None
        try:
            observed = decode_observed(message.data)
        except NOT_JSON as e:
            await self._publish(message.reply, given_up(f"no observed event: {e}"))
            return "malformed"
        if observed.principal == self._plugin:  # R23: not told about what it emitted itself
            await self._publish(message.reply, DONE)
            return None
        working = asyncio.get_running_loop().create_task(self._keep_working(message.reply))
        error = ""
        try:
            with self._spans.observation(self._plugin, hook.options.name, observed):
                async with asyncio.timeout(TIMEOUT):
                    await self._handling.observe(hook, observed)
            answer = DONE
        except HandlerFailed as e:
            error = e.letter
            answer = given_up(error) if e.is_permanent else self._again(message.reply, error)
        except TimeoutError:
            error = f"the handler took longer than {TIMEOUT:g} s"
            answer = self._again(message.reply, error)
        finally:
            working.cancel()
        await self._publish(message.reply, answer)
        return error

    def _again(self, reply: str, error: str) -> bytes:
        """Ask for the message again, later each time; after the last try it is a dead letter."""
        delay = self.redelivery.delay_ms(tries_of(reply))
        return given_up(error) if delay is None else b'-NAK {"delay":%d}' % (delay * 1_000_000)

    async def _keep_working(self, reply: str) -> None:
        interval = min(WORKING_INTERVAL, self.redelivery.ack_wait_ms / 3_000)
        while True:
            await asyncio.sleep(interval)
            await self._publish(reply, WORKING)


def given_up(error: str) -> bytes:
    """Never deliver it again; *error* is what its dead letter says."""
    return b"+TERM " + shorten(error, MAX_ERROR).encode()
