"""The folder of credentials: names, files, and what a nats-server is told."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from hookbus.config.credentials import read_credentials
from hookbus.errors import CredentialsError
from hookbus.identity.folder import CredentialsFolder
from hookbus.identity.keys import public_key
from hookbus.identity.permissions import KINDS, Kind, permissions_of


@pytest.fixture
def folder(tmp_path: Path) -> CredentialsFolder:
    return CredentialsFolder(tmp_path / "data" / "credentials")


def keys(folder: CredentialsFolder) -> list[str]:
    return re.findall(r"nkey: (U\w+)", folder.account_file.read_text())


def test_a_new_credential_is_a_file_and_a_user_of_the_server(folder: CredentialsFolder) -> None:
    made = folder.create("emitter", "chat")

    found = read_credentials(folder.file_of("chat"))
    assert (found.kind, found.principal) == ("emitter", "chat")
    assert public_key(found.seed) == made.public_key
    assert keys(folder) == [made.public_key]
    assert folder.users() == (made,)


def test_only_what_is_public_is_readable_for_others(folder: CredentialsFolder) -> None:
    folder.create("emitter", "chat")

    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in [folder.path, *folder.path.iterdir()]}
    assert modes == {
        "credentials": 0o700,
        ".lock": 0o600,
        ".users.json": 0o600,
        "account.conf": 0o644,
        "chat.json": 0o600,
    }
    assert stat.S_IMODE(folder.path.parent.stat().st_mode) == 0o700
    seed = read_credentials(folder.file_of("chat")).seed
    assert seed not in folder.account_file.read_text()
    assert seed not in (folder.path / ".users.json").read_text()


def test_a_name_is_one_principal(folder: CredentialsFolder) -> None:
    """An emitter may not bear a plugin's name: it would have its inbox."""
    folder.create("plugin", "guard")

    for kind in ("plugin", "emitter", "operator"):
        with pytest.raises(CredentialsError, match="'guard' is taken by a plugin"):
            folder.create(kind, "guard")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("emitter", "Chat"),
        ("emitter", "../chat"),
        ("emitter", "a.b"),
        ("emitter", ""),
        ("emitter", "*"),
        ("emitter", "anonymous"),
        ("emitter", "dispatcher"),
        ("plugin", "registry"),
        ("plugin", "hookbus-dispatcher"),
        ("dispatcher", "registry"),
        ("admin", "ann"),
    ],
)
def test_other_names_and_kinds_are_refused(
    folder: CredentialsFolder, kind: Kind, name: str
) -> None:
    with pytest.raises(CredentialsError):
        folder.create(kind, name)

    assert folder.users() == ()


def test_replicas_of_a_role_have_credentials_of_their_own(folder: CredentialsFolder) -> None:
    for name in ("dispatcher", "dispatcher-2"):
        folder.create("dispatcher", name)

    assert read_credentials(folder.file_of("dispatcher-2")).principal == "dispatcher"
    assert len(set(keys(folder))) == 2


def test_a_runner_names_its_plugins_and_nobody_else_does(folder: CredentialsFolder) -> None:
    made = folder.create("runner", "host", ["a", "b"])

    assert made.plugins == ("a", "b")
    assert "hookbus.call.b.> b" in folder.account_file.read_text()
    with pytest.raises(CredentialsError, match="name each with --plugin"):
        folder.create("runner", "other")
    with pytest.raises(CredentialsError, match="--plugin says what a runner runs"):
        folder.create("emitter", "chat", ["a"])


def test_a_rotation_changes_the_key_and_nothing_else(folder: CredentialsFolder) -> None:
    before = folder.create("runner", "host", ["a"])
    folder.create("emitter", "chat")

    after = folder.rotate("host")

    assert (after.kind, after.plugins) == (before.kind, before.plugins)
    assert before.public_key not in folder.account_file.read_text()
    assert public_key(read_credentials(folder.file_of("host")).seed) == after.public_key
    assert len(keys(folder)) == 2


def test_who_is_revoked_is_gone(folder: CredentialsFolder) -> None:
    folder.create("emitter", "chat")

    folder.revoke("chat")

    assert keys(folder) == []
    assert not folder.file_of("chat").exists()
    with pytest.raises(CredentialsError, match="has no credentials 'chat'; it has: nobody"):
        folder.rotate("chat")


def test_what_is_needed_is_made_once_and_mended(folder: CredentialsFolder) -> None:
    wanted: list[tuple[Kind, str]] = [("registry", "registry"), ("plugin", "guard")]
    folder.ensure(wanted)
    first = folder.users()
    folder.ensure(wanted)
    assert folder.users() == first

    folder.file_of("guard").unlink()
    folder.ensure(wanted)

    [guard, registry] = folder.users()
    assert registry == first[1]
    assert guard.public_key == public_key(read_credentials(folder.file_of("guard")).seed)
    with pytest.raises(CredentialsError, match=r"'guard' .* is of kind plugin, expected"):
        folder.ensure([("emitter", "guard")])


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CredentialsError, match=r"cannot be used: (Not a directory|File exists)"):
        CredentialsFolder(tmp_path / "file").create("emitter", "chat")


def test_nobody_but_the_registry_writes_the_configuration_or_asks_jetstream_all() -> None:
    for kind in KINDS:
        allowed = permissions_of(kind, "x", ["y"] if kind == "runner" else [])
        is_registry = kind == "registry"
        assert any(s.startswith("$KV.") for s in allowed.publish) == is_registry
        assert ("$JS.API.>" in allowed.publish) == is_registry
        assert not any(s in (">", "*", "$JS.>", "$SYS.>") for s in allowed.publish)
