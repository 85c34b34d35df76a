"""The short way through what a broker sends reads it as nats-py's parser does."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from hookbus.message import Message, MessageCallback
from hookbus.nats_parser import ShortParser
from hookbus.nats_socket import Reader

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


#: Where something begins in it: what is cut there can overtake.
STARTS = [at for at in range(len(STREAM)) if STREAM.startswith((b"MSG", b"HMSG", b"P"), at)]


class Client:
    """Notes what a parser hands over."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    @property
    def receivers(self) -> dict[str, MessageCallback]:
        """Those of all subscriptions but number 9."""
        return {str(sid): partial(self._receive, sid) for sid in (1, 2)}

    def _receive(self, sid: int, message: Message) -> None:
        subject, reply = message.subject.encode(), message.reply.encode()
        self.seen.append((sid, subject, reply, message.data, message.headers))

    async def _process_msg(self, *message: Any) -> None:
        self.seen.append(message)

    async def _process_ping(self) -> None:
        self.seen.append(("ping",))

    async def _process_pong(self) -> None:
        self.seen.append(("pong",))

    async def _process_err(self, error: str) -> None:
        self.seen.append((error,))


class SlowClient(Client):
    """Takes a few turns of the loop for what nats-py hands over."""

    async def _process_msg(self, *message: Any) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await super()._process_msg(*message)


@given(st.lists(st.integers(0, len(STREAM))).map(sorted))
def test_however_the_bytes_come_the_same_is_read(cuts: list[int]) -> None:
    pieces = [STREAM[a:b] for a, b in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]

    assert asyncio.run(_short(pieces)) == asyncio.run(_nats_py([STREAM]))


@given(st.lists(st.tuples(st.sampled_from(STARTS), st.integers(0, 3))).map(sorted))
def test_what_is_taken_where_it_comes_in_overtakes_nothing(cuts: list[tuple[int, int]]) -> None:
    places = [0, *(place for place, _ in cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(places)]

    async def scenario() -> list[Seen]:
        client = SlowClient()
        parser = ShortParser(client, client.receivers)
        reader = Reader(parser.feed, 2**16)

        async def read() -> None:  # as nats-py's read loop does
            while data := await reader.read(1000):
                await parser.parse(data)

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            for piece, (_, turns) in zip(pieces, [*cuts, (0, 0)], strict=True):
                reader.feed_data(piece)
                for _ in range(turns):
                    await asyncio.sleep(0)
            reader.feed_eof()
        return client.seen

    assert asyncio.run(scenario()) == asyncio.run(_nats_py([STREAM]))


def test_a_message_is_taken_before_any_task_is_woken() -> None:
    async def scenario() -> None:
        client = Client()
        parser = ShortParser(client, client.receivers)
        reader = Reader(parser.feed, 2**16)
        reading = asyncio.create_task(reader.read(1000))
        await asyncio.sleep(0)

        reader.feed_data(b"MSG a 1 1\r\nx\r\n")

        assert client.seen == [(1, b"a", b"", b"x", None)]
        reading.cancel()

    asyncio.run(scenario())


def test_what_comes_before_the_read_loop_is_kept_for_it() -> None:
    async def scenario() -> None:
        client = Client()
        reader = Reader(ShortParser(client, client.receivers).feed, 2**16)

        reader.feed_data(b"INFO {}\r\nMSG a 1 1\r\nx\r\n")

        assert await reader.readline() == b"INFO {}\r\n"
        assert await reader.read(1000) == b"MSG a 1 1\r\nx\r\n"
        assert client.seen == []

    asyncio.run(scenario())


@given(st.lists(st.integers(0, 600)).map(sorted))
def test_what_a_read_cuts_is_not_left_to_nats_py(cuts: list[int]) -> None:
    stream = b"MSG a.b 1 5\r\nhello\r\nMSG a.b 1 _INBOX.x 0\r\n\r\nMSG a 2 r 4\r\nMSG \r\n" * 10
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    client = Client()
    parser = ShortParser(client, client.receivers)

    assert b"".join(parser.feed(piece) for piece in pieces) == b""

    assert len(client.seen) == 30


def test_a_long_message_that_is_cut_is_left_to_nats_py() -> None:
    client = Client()
    parser = ShortParser(client, client.receivers)
    cut = b"MSG a 1 65536\r\n" + b"x" * 1000

    assert parser.feed(cut) == cut


def test_what_has_begun_on_a_lost_connection_is_forgotten() -> None:
    client = Client()
    parser = ShortParser(client, client.receivers)

    parser.feed(b"MSG a 1 5\r\nhel")
    parser.reset()
    parser.feed(b"MSG a 1 1\r\nx\r\n")

    assert client.seen == [(1, b"a", b"", b"x", None)]


def test_a_body_that_looks_like_a_message_is_none() -> None:
    pieces = [b"MSG a 1 14\r\n", b"MSG b 2 1\r\nx\r\n\r\n"]

    assert asyncio.run(_short(pieces)) == [(1, b"a", b"", b"MSG b 2 1\r\nx\r\n", None)]


NO_MESSAGES = [
    *(b"MSG a 1\r\n", b"MSG a x 1\r\n", b"MSG a 1 r s 1\r\n"),
    *(b"MSG a 1 x\r\n", b"MSG a 1 -1\r\n", b"?\r\n"),
]


@pytest.mark.parametrize("line", NO_MESSAGES)
def test_what_is_no_message_ends_the_connection_as_before(line: bytes) -> None:
    for parse in (_short, _nats_py):
        with pytest.raises(ProtocolError):
            asyncio.run(parse([b"MSG a 1 1\r\nx\r\n" + line]))


async def _short(pieces: list[bytes]) -> list[Seen]:
    client = Client()
    parser = ShortParser(client, client.receivers)
    for piece in pieces:
        await parser.parse(piece)
    return client.seen


async def _nats_py(pieces: list[bytes]) -> list[Seen]:
    client = Client()
    parser = Parser(client)
    for piece in pieces:
        await parser.parse(piece)
    return client.seen
