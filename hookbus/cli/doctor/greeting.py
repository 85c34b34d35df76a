"""What the broker says before anybody logs in: NATS speaks first, so no credential is needed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from hookbus.broker_needs import jetstream_problem, version_problem
from hookbus.cli.doctor.finding import Finding, ok, problem
from hookbus.config.connection import Connection, without_password
from hookbus.processes import describe, find_port_owner

TIMEOUT: Final = 2.0  # seconds to connect, and as long again for the first line
MAX_LINE: Final = 64 * 1024
DEFAULT_PORT: Final = 4222

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_ELSEWHERE: Final = "set HOOKBUS_NATS_URL (or --url) to a NATS server"


@dataclass(frozen=True, slots=True)
class Greeting:
    """One server's first words: *info*, or what went *wrong* and what is *next*."""

    url: str
    info: Mapping[str, Any] | None = None
    wrong: str = ""
    next: str = ""


async def greet(url: str) -> Greeting:
    """Connect, read one line and hang up; *url* is of one server."""
    shown = without_password(url)
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port, limit=MAX_LINE)
    except socket.gaierror:
        return Greeting(shown, wrong=f"the host {host!r} is not known", next=_ELSEWHERE)
    except TimeoutError:
        wrong = f"no answer within {TIMEOUT:g} s"
        return Greeting(shown, wrong=wrong, next=f"look for a firewall, or {_ELSEWHERE}")
    except OSError:
        start = "start one with 'hookbus up', or " if host in _LOOPBACK else ""
        return Greeting(shown, wrong="nothing listens there", next=f"{start}{_ELSEWHERE}")
    try:
        async with asyncio.timeout(TIMEOUT):
            line = await reader.readline()
    except (TimeoutError, ValueError, OSError):
        line = b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return read_greeting(shown, line, _owner(host, port))


def read_greeting(url: str, line: bytes, owner: str = "another kind of server") -> Greeting:
    """Tell a NATS server by ``INFO {…}``; *owner* is who listens there."""
    if line.startswith(b"INFO "):
        try:
            info = msgspec.json.decode(line[5:])
        except (msgspec.DecodeError, UnicodeDecodeError):
            info = None
        if isinstance(info, dict):
            return Greeting(url, info)
    wrong = f"what listens there does not speak NATS ({owner})"
    return Greeting(url, wrong=wrong, next=f"{_ELSEWHERE}; it is mostly on port {DEFAULT_PORT}")


def _owner(host: str, port: int) -> str:
    owner = find_port_owner(port) if host in _LOOPBACK else None
    return describe(owner) if owner else "perhaps HTTP, or TLS from the first byte"


def judge(greetings: list[Greeting], connection: Connection) -> Iterator[Finding]:
    """Say what the servers of one URL came to."""
    for greeting in greetings:
        if greeting.info is None:
            yield problem("broker", f"{greeting.url}: {greeting.wrong}", greeting.next)
            continue
        version = str(greeting.info.get("version", ""))
        if lack := version_problem(version):
            yield problem("broker", f"{greeting.url}: {lack.said}", lack.next)
        else:
            yield ok("broker", f"{greeting.url}: nats-server {version}")
        if lack := jetstream_problem(is_on=greeting.info.get("jetstream") is True):
            yield problem("jetstream", f"{greeting.url}: {lack.said}", lack.next)
        yield _tls(greeting.url, greeting.info, connection)


def _tls(url: str, info: Mapping[str, Any], connection: Connection) -> Finding:
    is_wanted = url.startswith("tls://") or connection.tls_ca is not None
    is_offered = info.get("tls_required") is True or info.get("tls_available") is True
    if is_wanted and not is_offered:
        said = f"{url}: TLS is asked for, and the server has none"
        return problem(
            "tls", said, "switch it on in the server, or use nats:// without HOOKBUS_TLS_CA"
        )
    if is_offered:
        return ok("tls", "the server offers it; the login tells whether its certificate is good")
    return ok("tls", "none; what is sent can be read on the way")
