"""Values of a plugin's configuration that stand in a variable or a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hookbus.config.plugin_values import MAX_FILE_BYTES, resolve_values
from hookbus.errors import Problem


def test_variables_and_files_are_put_in_at_any_depth(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t0p\nsecret\n")
    config = {"key": "env:KEY", "nested": [{"token": f"file:{file}"}], "plain": "x", "n": 1}

    values, problems = resolve_values(config, {"KEY": "k1"})

    assert values == {"key": "k1", "nested": [{"token": "t0p\nsecret"}], "plain": "x", "n": 1}
    assert problems == ()
    assert config["key"] == "env:KEY"  # what came over the bus is left alone


@pytest.mark.parametrize("text", ["env:", "env:no name", "file:relative", "an env:KEY inside"])
def test_what_only_looks_like_one_is_a_text(text: str) -> None:
    assert resolve_values({"a": text}, {}) == ({"a": text}, ())


def test_what_cannot_be_had_is_a_problem_with_its_place(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xffsecret")
    config = {"a": ["env:NOPE"], "b": "file:/no/such", "c": f"file:{large}", "d": f"file:{binary}"}

    _, problems = resolve_values(config, {})

    where = "cannot be read where the plugin runs"
    assert problems == (
        Problem("config.a[0]", "the variable NOPE is not set where the plugin runs"),
        Problem("config.b", f"'/no/such' {where}: there is no such file"),
        Problem("config.c", f"{str(large)!r} {where}: expected at most {MAX_FILE_BYTES} bytes"),
        Problem("config.d", f"{str(binary)!r} {where}: expected UTF-8"),
    )


def test_values_that_are_nested_deeper_than_python_goes_are_a_problem() -> None:
    deep: dict[str, Any] = {}
    for _ in range(20_000):
        deep = {"a": deep}

    assert resolve_values(deep, {}) == ({}, (Problem("config", "is nested too deeply"),))


def test_an_empty_variable_is_a_value() -> None:
    assert resolve_values({"a": "env:EMPTY"}, {"EMPTY": ""}) == ({"a": ""}, ())
