"""What is wrong with an emitter's options is said when it is made."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from hookbus import Emitter, InvalidEvent, SyncEmitter
from hookbus.errors import InvalidOption

URL = "nats://127.0.0.1:1"

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"source": ""}, "source: expected a URI reference"),
    ({"principal": "No Name"}, "principal: expected"),
    ({"principal": "a" * 64}, "principal: expected"),
    ({"principal": "chat.x"}, "principal: expected"),
    ({"on_unavailable": "panic"}, "on_unavailable: expected"),
    ({"timeout": 0}, "timeout: expected 0.01 … 86400 seconds, got 0"),
    ({"timeout": math.nan}, "timeout: expected 0.01 … 86400 seconds, got nan"),
    ({"timeout": 1e10}, "timeout: expected 0.01 … 86400 seconds, got 1"),
    ({"connect_timeout": 0}, "connect_timeout: expected 0.01 …"),
    ({"connect_timeout": math.inf}, "connect_timeout: expected 0.01 …"),
    ({"url": ""}, "expected nats://host:port or tls://host:port, got ''"),
    ({"url": "http://127.0.0.1:4222"}, "expected nats://host:port or tls://host:port, got 'http"),
    ({"url": "ws://127.0.0.1:4222"}, "expected nats://host:port"),
    ({"url": "nats://"}, "expected nats://host:port"),
    ({"url": "nats://127.0.0.1:port"}, "expected nats://host:port"),
    ({"url": "nats://127.0.0.1:0"}, "expected nats://host:port"),
    ({"url": "nats://127.0.0.1:99999"}, "expected nats://host:port"),
    ({"url": "nats://[::1"}, "expected nats://host:port"),
    ({"url": f"{URL},"}, "expected nats://host:port or tls://host:port, got ''"),
]
NO_SUCH_TYPE: list[tuple[dict[str, Any], str]] = [
    ({"source": None}, "source: expected a URI reference"),
    ({"timeout": "1"}, "timeout: expected a number of seconds, got '1'"),
    ({"timeout": True}, "timeout: expected a number of seconds, got True"),
    ({"connect_timeout": "1"}, "connect_timeout: expected a number of seconds, got '1'"),
    ({"url": 5}, "url: expected a text such as"),
    ({"conect_timeout": 1}, "unknown options of the connection: ['conect_timeout']; expected some"),
]
MADE = [Emitter.connect, SyncEmitter, SyncEmitter.connect]


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize(("options", "message"), WRONG)
def test_an_emitter_with_a_wrong_option_is_an_error_at_once(
    make: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidOption, match=re.escape(message)):
        make(**{"url": URL, "source": "/x", **options})


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize(("options", "message"), NO_SUCH_TYPE)
def test_an_emitter_with_an_option_of_another_type_is_an_error_at_once(
    make: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        make(**{"url": URL, "source": "/x", **options})


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize(
    "options",
    [
        {"url": "127.0.0.1:4222"},
        {"url": "localhost"},
        {"url": "nats://a:1, tls://user:pass@[::1]:2"},
        {"timeout": None},
        {"connect_timeout": 0.1, "name": "n", "options": {}},
    ],
)
def test_an_emitter_with_right_options_is_made(make: Any, options: dict[str, Any]) -> None:
    make(**{"url": URL, "source": "/x", **options})


def test_a_wrong_url_is_shown_without_its_password() -> None:
    with pytest.raises(ValueError, match=re.escape("got 'http://h:1'")) as wrong:
        Emitter.connect("http://user:hunter2@h:1", source="/x")

    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, 1e10])
def test_a_sync_emit_with_a_timeout_that_is_none_is_an_error_at_once(timeout: float) -> None:
    bus = SyncEmitter(URL, source="/x", on_unavailable="continue")

    with pytest.raises(ValueError, match="timeout: expected "):
        bus.emit("message_received", {"text": "hi"}, timeout=timeout)
    with pytest.raises(ValueError, match="timeout: expected "):
        bus.notify("message_received", {"text": "hi"}, timeout=timeout)


def test_an_event_that_is_none_is_an_error_even_when_nobody_is_there_to_refuse_it() -> None:
    with SyncEmitter.connect(
        URL, source="/x", on_unavailable="continue", connect_timeout=0.05
    ) as bus:
        with pytest.raises(TypeError, match="did you mean dry_run"):
            bus.emit("message_received", {"text": "hi"}, dryrun=True)
        with pytest.raises(InvalidEvent, match="/data/n"):
            bus.emit("message_received", {"text": "hi", "n": math.nan})


def test_a_sync_emitter_connects_to_nothing_before_its_first_emit() -> None:
    SyncEmitter("nats://127.0.0.1:1", source="/x").close()


def test_an_emitter_is_not_connected_before_it_is_open() -> None:
    assert not Emitter.connect(URL, source="/x").is_connected
