"""docs/traces.md names every span, attribute and variable, and no other."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from hookbus.otel import environment, resource, variables
from hookbus.telemetry import ATTRIBUTES, SPANS
from tests.docs.page import read_page

PAGE = read_page(Path(__file__).parents[2] / "docs" / "traces.md")


def table(heading: str) -> dict[str, str]:
    return {row[0].strip("`"): row[1] for row in PAGE.rows(heading)}


def test_the_page_names_every_span_and_attribute_and_no_other() -> None:
    assert table("span") == SPANS
    assert table("attribute") == ATTRIBUTES


def test_what_the_page_exports_is_enough_for_traces() -> None:
    *exports, command = PAGE.blocks["collector"].splitlines()
    environ = dict(line.removeprefix("export ").split("=") for line in exports)

    assert environment.wanted("traces", environ).exporter == "otlp"
    assert command == "hookbus up"  # as tests/integration/test_traces.py does


def test_every_variable_of_the_page_is_read_by_us() -> None:
    source = "".join(map(inspect.getsource, (environment, resource, variables)))
    named = set(re.findall(r"`(OTEL_\w+)`", "".join(row[0] for row in PAGE.rows("variable"))))

    for name in named:
        # put together of the signal's name and what is said of it
        assert name in source or name.rpartition("_")[2] in source, name
    assert set(re.findall(r'"(OTEL_[A-Z_]+)"', source)) <= named
