"""How often an observed message comes, and after how long: the registry says it, the SDK keeps it.

Pure. JetStream's own back-off would also shorten the time that a first try may take, so whoever
failed asks for the next try with a delay.
"""

from __future__ import annotations

import msgspec


class Redelivery(msgspec.Struct, frozen=True):
    """The member ``observers`` of what the registry tells a plugin. Times in milliseconds.

    Attributes:
        ack_wait_ms: without a word for so long, a message is delivered again.
        max_deliver: tries, the first one included; then it is a dead letter.
        backoff_ms: after the first failed try, the second, …; the last one repeats.
    """

    ack_wait_ms: int = 30_000
    max_deliver: int = 5
    backoff_ms: tuple[int, ...] = (1_000, 5_000, 30_000, 120_000)

    def delay_ms(self, tries: int) -> int | None:
        """How long to wait after so many failed tries; None when that was the last one."""
        if 0 < self.max_deliver <= tries:
            return None
        return self.backoff_ms[min(tries, len(self.backoff_ms)) - 1] if self.backoff_ms else 0


def tries_of(reply: str) -> int:
    """Read which try a message is from the subject where it is acknowledged.

    ``$JS.ACK.<stream>.<consumer>.<delivered>.…``, or with domain and account in front of the
    stream; *delivered* counts from 1.
    """
    tokens = reply.split(".")
    delivered = tokens[6] if len(tokens) >= 11 else tokens[4] if len(tokens) > 4 else "1"
    return max(1, int(delivered[:9])) if delivered.isdecimal() else 1
