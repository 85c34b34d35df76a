"""What `send` puts before the broker: one command a message, and nothing that forges another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from nats.errors import BadSubjectError, MaxPayloadError

from hookbus.nats_client import NatsClient
from hookbus.nats_socket import Socket

MOST = 1000  # bytes of a body and its headers


class Line:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write = self.written.append

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


class Writer:
    def __init__(self, transport: Line) -> None:
        self.transport = transport


def sent(send: Callable[[NatsClient], Any]) -> list[bytes]:
    """What one tick writes of what *send* does."""

    async def scenario() -> list[bytes]:
        client, line = NatsClient(), Line()
        client._status = NatsClient.CONNECTED
        client._max_payload = MOST
        client._max_pending_size = 10 * MOST
        client._transport = socket = Socket(client._feed)
        socket._io_writer = Writer(line)
        send(client)
        assert line.written == []
        await asyncio.sleep(0)
        return line.written

    return asyncio.run(scenario())


def test_a_tick_is_written_at_once_in_the_order_of_sending() -> None:
    def send(client: NatsClient) -> None:
        assert client.send("a.b", b"one", "")
        assert client.send("a.b", b"two", "_INBOX.x")
        assert client.send("c", b"three", "r", b"NATS/1.0\r\nK: v\r\n\r\n")

    assert sent(send) == [
        b"PUB a.b  3\r\none\r\n"
        b"PUB a.b _INBOX.x 3\r\ntwo\r\n"
        b"HPUB c r 18 23\r\nNATS/1.0\r\nK: v\r\n\r\nthree\r\n"
    ]


@pytest.mark.parametrize("word", ["a b", "a\r\nPUB x 0\r\n", "a\tb", "a\n", " ", "a\0"])
def test_no_subject_and_no_reply_subject_ends_its_line(word: str) -> None:
    def send(client: NatsClient) -> None:
        for subject, reply in ((word, ""), (word, "r"), ("known", "r"), ("known", word), ("", "")):
            if (subject, reply) == ("known", "r"):
                client.send(subject, b"", reply)
                continue
            for _ in range(2):  # what was refused once is not known the second time
                with pytest.raises(BadSubjectError):
                    client.send(subject, b"", reply)

    assert sent(send) == [b"PUB known r 0\r\n\r\n"]


def test_what_is_too_large_with_its_headers_is_refused() -> None:
    def send(client: NatsClient) -> None:
        with pytest.raises(MaxPayloadError):
            client.send("a", b"x" * (MOST - 17), "", b"NATS/1.0\r\nK: v\r\n\r\n")
        client.send("a", b"x" * MOST, "")

    assert sent(send) == [b"PUB a  1000\r\n" + b"x" * MOST + b"\r\n"]


def test_a_body_that_changes_after_it_was_sent_is_written_as_it_was() -> None:
    def send(client: NatsClient) -> None:
        body = bytearray(b"one")
        client.send("a", body, "")
        body[:] = b"more"

    assert sent(send) == [b"PUB a  3\r\none\r\n"]


def test_a_text_is_refused_where_it_is_sent_and_spoils_nothing_else() -> None:
    def send(client: NatsClient) -> None:
        client.send("a", b"one", "")
        with pytest.raises(TypeError):
            client.send("a", "two", "")  # type: ignore[arg-type]

    assert sent(send) == [b"PUB a  3\r\none\r\n"]


def test_it_says_when_more_waits_than_a_slow_broker_is_given() -> None:
    def send(client: NatsClient) -> None:
        took = [client.send("a", b"x" * 900, "") for _ in range(12)]
        assert took == [True] * 10 + [False] * 2

    assert len(sent(send)[0]) == 12 * (900 + len("PUB a  900\r\n\r\n"))
