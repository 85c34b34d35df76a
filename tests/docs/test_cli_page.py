"""docs/cli.md names every command, option and conformance point there is, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from hookbus.cli.app import make_app
from hookbus.conformance.emitters.run import EMITTER_CHECKS
from hookbus.conformance.observers import OBSERVERS
from hookbus.conformance.run import CALL_CHECKS
from tests.docs.page import Page

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"

#: Points that are about the whole plugin, or its end.
FURTHER_POINTS = ("announced", "service-api", "drain-goodbye", "drain-answers", "drain-gone")


@pytest.fixture(scope="module")
def cli_page() -> Page:
    return Page(PAGE.read_text(), {})


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def commands() -> Mapping[str, set[str]]:
    """The options of every command that can be called, as it is written with its arguments."""
    return dict(_commands(typer.main.get_command(make_app([])), ""))


def _commands(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    inner = getattr(command, "commands", {})
    if name and (not inner or command.invoke_without_command):
        yield name + _arguments(command), set(_options(command))
    for word, one in inner.items():
        yield from _commands(one, f"{name} {word}".strip())


def _arguments(command: Any) -> str:
    given = [p for p in command.params if p.param_type_name == "argument"]
    return "".join(f" {p.name.upper()}" if p.required else f" [{p.name.upper()}]" for p in given)


def _options(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.hidden:
            yield from parameter.opts


def test_the_page_names_every_command_and_option_and_no_other(cli_page: Page) -> None:
    shown = {quoted(row[0])[0]: set(quoted(row[1])) for row in cli_page.rows("command")}

    assert shown == commands()


def test_the_page_explains_every_point_of_conformance(cli_page: Page) -> None:
    shown = [point for row in cli_page.rows("point | passes if") for point in quoted(row[0])]

    checks = [check.point for check in (*CALL_CHECKS, *OBSERVERS)]
    assert sorted(shown) == sorted([*checks, *FURTHER_POINTS])


def test_the_page_explains_every_point_of_an_emitter(cli_page: Page) -> None:
    shown = [point for row in cli_page.rows("point of an emitter") for point in quoted(row[0])]

    assert sorted(shown) == sorted(check.point for check in EMITTER_CHECKS)
