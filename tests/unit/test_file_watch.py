"""A settings file that changes is read again, once it has stopped changing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hookbus.config.load import Loaded, read_settings
from hookbus.config.settings import Settings
from hookbus.errors import SettingsError
from hookbus.server.file_watch import STEADY, FileWatch


class Written:
    """A file whose modification time goes on with every writing, however fast they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._time = 1_000

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self._time += 1
        os.utime(self.path, (self._time, self._time))


@pytest.fixture
def file(tmp_path: Path) -> Written:
    file = Written(tmp_path / "hookbus.toml")
    file.write("timeout_ms = 900")
    return file


def watch(file: Written) -> FileWatch:
    def load() -> Loaded:
        return read_settings(file.path, environ={})

    return FileWatch(load(), load)


def settled(watching: FileWatch) -> Settings | None:
    """Look until a change must have been read."""
    for _ in range(STEADY):
        assert watching.look() is None
    return watching.look()


def test_a_file_that_stays_the_same_is_not_read_again(file: Written) -> None:
    watching = watch(file)

    assert [watching.look() for _ in range(3)] == [None] * 3


def test_a_changed_file_is_read_once_it_has_been_the_same_for_some_looks(file: Written) -> None:
    watching = watch(file)
    file.write("timeout_ms = ")  # somebody is still writing
    for _ in range(STEADY):
        assert watching.look() is None
    file.write("timeout_ms = 800")

    found = settled(watching)

    assert found is not None
    assert found.timeout_ms == 800
    assert watching.look() is None


def test_a_file_that_cannot_be_used_is_said_once_and_read_again_when_it_changes(
    file: Written,
) -> None:
    watching = watch(file)
    file.write("timeout_ms = 0")
    for _ in range(STEADY):
        watching.look()
    with pytest.raises(SettingsError, match="timeout_ms: expected 10 or more"):
        watching.look()
    after = watching.look()
    file.write("timeout_ms = 700")
    mended = settled(watching)

    assert after is None
    assert mended is not None
    assert mended.timeout_ms == 700


def test_a_file_that_is_gone_is_said_and_found_again(file: Written) -> None:
    watching = watch(file)
    file.path.unlink()
    for _ in range(STEADY):
        watching.look()
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        watching.look()
    file.write("timeout_ms = 700")

    assert settled(watching) is not None


def test_a_change_of_a_file_that_is_named_counts_too(file: Written) -> None:
    schema = Written(file.path.parent / "schema.json")
    schema.write('{"type": "object"}')
    file.write('[types."chat.sent"]\nschema = "schema.json"')
    watching = watch(file)
    schema.write('{"type": "string"}')

    found = settled(watching)

    assert found is not None
    assert found.types["chat.sent"].json_schema == {"type": "string"}


def test_what_could_not_be_put_in_force_is_read_again(file: Written) -> None:
    watching = watch(file)
    file.write("timeout_ms = 800")
    settled(watching)

    watching.look_again()

    found = watching.look()
    assert found is not None
    assert found.timeout_ms == 800
