"""The short way through what a broker sends reads it as nats-py's parser does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from hookbus.nats_parser import ShortParser

Seen = tuple[Any, ...]

STREAM = (
    b"MSG a.b 1 5\r\nhello\r\n"
    b"MSG a.b 1 _INBOX.x 0\r\n\r\n"
    b"MSG a 2 4\r\nMSG \r\n"
    b"HMSG a 1 r 22 24\r\nNATS/1.0\r\nKey: val\r\n\r\nhi\r\n"
    b"PING\r\n"
    b"MSG other 9 3\r\n\r\n!\r\n"
    b"MSG a.b\t1  _INBOX.y   6\r\nMSG a \r\n"
    b"MSG \xff 1 1\r\nx\r\n"
    b"-ERR 'no'\r\n"
    b"PONG\r\n"
)


class Client:
    """Notes what a parser hands over."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def take(self, sid: int, subject: bytes, reply: bytes, data: bytes) -> bool:
        if sid == 9:  # no receiver's
            return False
        self.seen.append((sid, subject, reply, data, None))
        return True

    async def _process_msg(self, *message: Any) -> None:
        self.seen.append(message)

    async def _process_ping(self) -> None:
        self.seen.append(("ping",))

    async def _process_pong(self) -> None:
        self.seen.append(("pong",))

    async def _process_err(self, error: str) -> None:
        self.seen.append((error,))


@given(st.lists(st.integers(0, len(STREAM))).map(sorted))
def test_however_the_bytes_come_the_same_is_read(cuts: list[int]) -> None:
    pieces = [STREAM[a:b] for a, b in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]

    assert asyncio.run(_short(pieces)) == asyncio.run(_nats_py([STREAM]))


def test_a_body_that_looks_like_a_message_is_none() -> None:
    pieces = [b"MSG a 1 14\r\n", b"MSG b 2 1\r\nx\r\n\r\n"]

    assert asyncio.run(_short(pieces)) == [(1, b"a", b"", b"MSG b 2 1\r\nx\r\n", None)]


@pytest.mark.parametrize("line", [b"MSG a 1\r\n", b"MSG a x 1\r\n", b"MSG a 1 r s 1\r\n", b"?\r\n"])
def test_what_is_no_message_ends_the_connection_as_before(line: bytes) -> None:
    for parse in (_short, _nats_py):
        with pytest.raises(ProtocolError):
            asyncio.run(parse([b"MSG a 1 1\r\nx\r\n" + line]))


async def _short(pieces: list[bytes]) -> list[Seen]:
    client = Client()
    parser = ShortParser(client, client.take)
    for piece in pieces:
        await parser.parse(piece)
    return client.seen


async def _nats_py(pieces: list[bytes]) -> list[Seen]:
    client = Client()
    parser = Parser(client)
    for piece in pieces:
        await parser.parse(piece)
    return client.seen
