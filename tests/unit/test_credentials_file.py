"""The credentials file: what is read, what is refused, and that no message shows the secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hookbus.config.connection import connection_from, nats_options
from hookbus.config.credentials import Credentials, SeedSource, read_credentials
from hookbus.errors import CredentialsError, SettingsError
from hookbus.identity.keys import new_key, public_key

SEED, PUBLIC = new_key()
CHAT = Credentials("emitter", "chat", SEED)


def written(folder: Path, mode: int = 0o600, **members: Any) -> Path:
    file = folder / "chat.json"
    file.write_text(json.dumps({**json.loads(CHAT.to_json()), **members}))
    file.chmod(mode)
    return file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_credentials(written(tmp_path)) == CHAT
    assert read_credentials(written(tmp_path, later="unknown members are ignored")) == CHAT
    assert public_key(SEED) == PUBLIC


def test_the_seed_is_not_shown() -> None:
    assert SEED not in repr(CHAT)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path, mode)

    with pytest.raises(CredentialsError, match=rf"others may read this secret .mode {mode:04o}"):
        read_credentials(file)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"v": 2}, "expected the file that 'hookbus credentials create' writes"),
        ({"principal": "Chat Service"}, "principal: expected a name like"),
        ({"principal": 5}, "principal: expected a text, found int"),
        ({"kind": None}, "kind: expected a text, found NoneType"),
        ({"inbox_prefix": "_INBOX.shop"}, "inbox_prefix: expected '_INBOX.chat'"),
        ({"seed": ""}, "seed: expected a text"),
        ({"seed": PUBLIC}, "seed: expected the seed of a user's NKey"),
        ({"seed": SEED[:-1]}, "seed: expected the seed of a user's NKey, whole"),
        ({"seed": SEED[:20] + ("A" if SEED[20] != "A" else "B") + SEED[21:]}, "seed: expected"),
    ],
)
def test_what_is_wrong_is_named_and_the_secret_is_not(
    tmp_path: Path, members: dict[str, Any], message: str
) -> None:
    file = written(tmp_path, **members)

    with pytest.raises(CredentialsError) as refused:
        read_credentials(file)

    assert message in str(refused.value)
    assert str(file) in str(refused.value)
    assert SEED[:19] not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", SEED, "\ud800", "[" * 10_000],
    ids=["empty", "words", "list", "only a seed", "half a surrogate pair", "deep"],
)
def test_another_file_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "chat.json"
    file.write_bytes(text.encode(errors="surrogatepass"))
    file.chmod(0o600)

    with pytest.raises(CredentialsError, match="expected the file that") as refused:
        read_credentials(file)

    assert SEED not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"none\.json': cannot be read: No such file"):
        read_credentials(tmp_path / "none.json")


def test_the_connection_is_the_files_principal(tmp_path: Path) -> None:
    connection = connection_from({"HOOKBUS_CREDS": str(written(tmp_path))})

    assert (connection.principal, connection.kind) == ("chat", "emitter")
    assert nats_options(connection)["seed_of"]() == SEED


def test_a_principal_that_says_otherwise_is_refused_naming_both(tmp_path: Path) -> None:
    file = written(tmp_path)
    environ = {"HOOKBUS_CREDS": str(file), "HOOKBUS_PRINCIPAL": "shop"}

    with pytest.raises(SettingsError) as refused:
        connection_from(environ)

    assert "HOOKBUS_PRINCIPAL is 'shop'" in str(refused.value)
    assert f"HOOKBUS_CREDS={str(file)!r} is of 'chat'" in str(refused.value)
    assert connection_from({**environ, "HOOKBUS_PRINCIPAL": "chat"}).principal == "chat"


def test_a_rotated_seed_is_found_at_the_next_connection(tmp_path: Path) -> None:
    source = SeedSource(written(tmp_path))
    new, _ = new_key()

    written(tmp_path, seed=new)
    assert source() == new
    written(tmp_path).unlink()
    assert source() == new
