"""The connection of a process, from its environment."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from hookbus.config import connection
from hookbus.config.connection import (
    Connection,
    connection_from,
    connection_to,
    default_data_dir,
    without_password,
)
from hookbus.errors import SettingsError


def test_an_empty_environment_is_the_local_broker_and_nobody() -> None:
    assert connection_from({}) == Connection(
        nats_url="nats://127.0.0.1:4222",
        principal="anonymous",
        creds=None,
        tls_ca=None,
        tls_cert=None,
        tls_key=None,
    )


def test_every_variable_but_the_credentials_is_read() -> None:
    environ = {
        "HOOKBUS_NATS_URL": "tls://nats:4222",
        "HOOKBUS_PRINCIPAL": "chat",
        "HOOKBUS_TLS_CA": "ca.pem",
        "HOOKBUS_TLS_CERT": "cert.pem",
        "HOOKBUS_TLS_KEY": "key.pem",
    }

    assert connection_from(environ) == Connection(
        nats_url="tls://nats:4222",
        principal="chat",
        tls_ca=Path("ca.pem"),
        tls_cert=Path("cert.pem"),
        tls_key=Path("key.pem"),
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    environ = {"HOOKBUS_NATS_URL": "", "HOOKBUS_PRINCIPAL": "", "HOOKBUS_CREDS": ""}

    assert connection_from(environ) == Connection()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"HOOKBUS_PRINCIPAL": "Chat Service"},
            "HOOKBUS_PRINCIPAL='Chat Service': expected a name like [a-z][a-z0-9-]{0,62}",
        ),
        (
            {"HOOKBUS_TLS_CERT": "c"},
            "HOOKBUS_TLS_CERT is set without HOOKBUS_TLS_KEY; set both",
        ),
        (
            {"HOOKBUS_TLS_KEY": "k"},
            "HOOKBUS_TLS_KEY is set without HOOKBUS_TLS_CERT; set both",
        ),
        (
            {"HOOKBUS_NATS_URL": "http://chat:secret@nats:8222"},
            "HOOKBUS_NATS_URL: expected nats://host:port or tls://host:port, "
            "got 'http://nats:8222'",
        ),
    ],
)
def test_a_bad_variable_is_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        connection_from(environ)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        ("nats://chat:sec@ret@a:1, tls://token@[::1]:2", "nats://a:1,tls://[::1]:2"),
        ("chat:secret@a", "a"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_the_environment_is_read_when_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKBUS_PRINCIPAL", "late")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")

    assert connection_from().principal == "late"
    assert default_data_dir() == Path("/state/hookbus")


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/ann"}, "/state/hookbus"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/ann"}, "/home/ann/.local/state/hookbus"),
        ({"XDG_STATE_HOME": "here", "HOME": "/home/ann"}, "/home/ann/.local/state/hookbus"),
        ({"HOME": "/home/ann"}, "/home/ann/.local/state/hookbus"),
    ],
)
def test_data_is_kept_where_the_desktop_says(environ: dict[str, str], folder: str) -> None:
    assert default_data_dir(environ) == Path(folder)


def test_the_connection_needs_the_standard_library_only() -> None:
    tree = ast.parse(Path(connection.__file__).read_text(encoding="utf-8"))

    imported = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    } | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    outside = {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names}
    assert outside == {"hookbus.config.credentials", "hookbus.errors", "hookbus.subjects"}


ELSEWHERE = {"HOOKBUS_NATS_URL": "nats://elsewhere:4222", "HOOKBUS_PRINCIPAL": "chat"}


def test_what_a_program_does_not_say_the_environment_does() -> None:
    assert connection_to(None, environ=ELSEWHERE) == Connection("nats://elsewhere:4222", "chat")
    assert connection_to(None, "shop", ELSEWHERE).principal == "shop"
    assert connection_to(None, environ={}) == Connection()


def test_a_program_that_names_its_broker_takes_nothing_from_the_environment() -> None:
    environ = {**ELSEWHERE, "HOOKBUS_TLS_CA": "ca.pem", "HOOKBUS_CREDS": "nowhere.json"}

    assert connection_to("nats://here:4222", environ=environ) == Connection("nats://here:4222")


def test_a_file_that_a_program_names_wins_over_the_environments() -> None:
    environ = {"HOOKBUS_TLS_CA": "ca.pem"}

    assert connection_to(None, environ=environ, tls_ca="other.pem").tls_ca == Path("other.pem")


def test_credentials_of_the_environment_say_who_a_program_is(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"HOOKBUS_CREDS"):
        connection_to(None, environ={"HOOKBUS_CREDS": str(tmp_path / "none.json")})
