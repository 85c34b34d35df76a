"""The tools reach one folder, and say nothing of what is beside it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from services.assistant.tools import MAX_BYTES, Tools


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with something beside it, and links that lead out."""
    desk = tmp_path / "desk"
    (desk / "inner").mkdir(parents=True)
    (tmp_path / "desk-2").mkdir()
    (tmp_path / "secret.txt").write_text("a secret")
    (tmp_path / "desk-2" / "secret.txt").write_text("a secret")
    (desk / "notes.txt").write_text("a note")
    (desk / "inner" / "more.txt").write_text("more")
    (desk / "out.txt").symlink_to(tmp_path / "secret.txt")
    (desk / "out").symlink_to(tmp_path)
    (desk / "loop").symlink_to("loop")
    (desk / "latin").write_bytes(b"caf\xe9")
    (desk / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    os.mkfifo(desk / "pipe")
    return desk


def run(desk: Path, name: str, **args: Any) -> str:
    return asyncio.run(Tools(str(desk)).run(name, args))


def test_a_file_in_the_folder_is_read(desk: Path) -> None:
    assert run(desk, "read_file", path="notes.txt") == "a note"
    assert run(desk, "read_file", path="inner/../inner/more.txt") == "more"
    assert run(desk, "read_file", path=str(desk / "notes.txt")) == "a note"


def test_a_folder_is_listed_by_names_in_order(desk: Path) -> None:
    assert run(desk, "list_files", path="inner") == "more.txt"
    assert run(desk, "list_files", path=".").split("\n")[:3] == ["inner/", "large", "latin"]


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../secret.txt",
        "../desk-2/secret.txt",
        "inner/../../secret.txt",
        "out.txt",
        "out/secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "/",
        "/proc/self/environ",
        "out",
    ],
)
@pytest.mark.parametrize("tool", ["read_file", "list_files"])
def test_no_path_leads_out_of_the_folder(desk: Path, tool: str, path: str) -> None:
    assert run(desk, tool, path=path) == f"{tool} can do nothing with {{'path': {path!r}}}."


@pytest.mark.parametrize(
    "path",
    [
        "",
        "inner",
        "none.txt",
        "loop",
        "pipe",
        "latin",
        "large",
        "notes.txt\0.png",
        "notes.txt/x",
        "~/.ssh/id_rsa",
        "x" * 5000,
        "half \ud800",
    ],
)
def test_what_is_no_text_file_is_said_without_a_path_of_the_machine(desk: Path, path: str) -> None:
    said = run(desk, "read_file", path=path)

    assert said.startswith("read_file can do nothing with")
    assert str(desk) not in said


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("shell", {"command": "ls"}),
        ("read_file", {}),
        ("read_file", {"path": 5}),
        ("read_file", {"path": ["notes.txt"]}),
        ("calculator", {"path": "notes.txt"}),
        ("_inside", {"path": ".."}),
    ],
)
def test_a_call_that_no_tool_takes_is_said(desk: Path, name: str, args: dict[str, Any]) -> None:
    assert run(desk, name, **args) == f"{name} can do nothing with {args}."


def test_a_folder_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Tools(str(tmp_path / "none"))
