"""Attributes and timeouts: a slip is an error, never an event that says something else."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from hookbus.attributes import check_attributes, check_dry_run, check_source, check_timeout
from hookbus.errors import InvalidEvent


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"id": "my-id", "source": "/x", "subject": "s", "time": "2026-01-01T00:00:00Z"},
        {"subject": None, "traceparent": None},
        {"hbtimeoutms": 500, "hbdryrun": True, "hbchain": "a,b"},
        {"datacontenttype": "application/json", "dataschema": "urn:x"},
        {"ext": 1, "tenantid": "t", "sourceid": "é", "a1": True, "partitionkey": "", "v": 0},
        {"a" * 20: "x" * 2_000},
    ],
)
def test_attributes_and_extensions_pass(attributes: dict[str, Any]) -> None:
    check_attributes(attributes)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dryrun", "dry_run"),
        ("dryRun", "dry_run"),
        ("dry_runs", "dry_run"),
        ("timeout_ms", "timeout (in seconds)"),
        ("timeoutms", "timeout (in seconds)"),
        ("timout", "timeout"),
        ("onUnavailable", "on_unavailable (an option of the emitter)"),
        ("data_", "data"),
        ("hb_dry_run", "hbdryrun"),
        ("hbdryrn", "hbdryrun"),
        ("subjects", "subject"),
        ("trace_parent", "traceparent"),
    ],
)
def test_a_slip_for_another_name_is_an_error_that_says_what_was_meant(
    name: str, meant: str
) -> None:
    with pytest.raises(TypeError) as wrong:
        check_attributes({name: 1})

    assert str(wrong.value) == f"{name!r} is no attribute of an event; did you mean {meant}?"


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("on_unavailable", "of the emitter, not of one event; give it to Emitter.connect"),
        ("principal", "of the emitter, not of one event; give it to Emitter.connect"),
        ("dry_run", "of emit, not of notify"),
    ],
)
def test_an_option_in_the_wrong_place_is_an_error_that_says_whose_it_is(
    name: str, whose: str
) -> None:
    with pytest.raises(TypeError) as wrong:
        check_attributes({name: True})

    assert str(wrong.value) == f"{name!r} is an option {whose}"


@pytest.mark.parametrize(
    "value", [{"hbdryrun": True}, [1], 1.5, math.nan, b"x", Decimal(1), ("a",), object()]
)
@pytest.mark.parametrize("name", ["attributes", "headers", "ext", "dataschema"])
def test_a_value_that_has_no_cloudevents_type_is_an_error_that_names_the_attribute(
    name: str, value: Any
) -> None:
    with pytest.raises(TypeError, match=f"^attribute {name!r}: expected str, int or bool, got "):
        check_attributes({name: value})


@pytest.mark.parametrize("dry_run", ["no", "", 0, 1, None])
def test_a_dry_run_that_is_neither_true_nor_false_is_an_error(dry_run: Any) -> None:
    with pytest.raises(TypeError, match=r"^dry_run: expected True or False, got "):
        check_dry_run(dry_run)


@pytest.mark.parametrize("name", ["tenant_id", "Tenant", "a" * 21, "a-b", "é"])
def test_a_name_that_cloudevents_do_not_know_is_an_error(name: str) -> None:
    with pytest.raises(TypeError, match="expected a name of a-z and 0-9, at most 20"):
        check_attributes({name: "x"})


@pytest.mark.parametrize(
    ("attributes", "pointer", "message"),
    [
        ({"id": ""}, "/id", "expected a text that is not empty"),
        ({"id": None}, "/id", "expected a text, got None"),
        ({"id": 5}, "/id", "expected a text, got 5"),
        ({"id": "x" * 1_001}, "/id", "expected at most 1000 characters, got 1001"),
        ({"id": "a\r\nb"}, "/id", "without control characters, got '\\r' as character 1"),
        ({"id": "a\x85"}, "/id", "without control characters"),
        ({"id": "\ud800"}, "/id", "without halves of surrogate pairs, got '\\ud800'"),
        ({"source": ""}, "/source", "expected a text that is not empty"),
        ({"subject": 5}, "/subject", "expected a text, got 5"),
        ({"subject": "a\0"}, "/subject", "without control characters"),
        ({"ext": "\x7f"}, "/ext", "without control characters"),
    ],
)
def test_a_value_that_cannot_be_that_attributes_is_refused_by_its_pointer(
    attributes: dict[str, Any], pointer: str, message: str
) -> None:
    with pytest.raises(InvalidEvent) as refused:
        check_attributes(attributes)

    assert refused.value.pointer == pointer
    assert message in refused.value.message


@pytest.mark.parametrize("timeout", [None, 0.01, 1, 30.0, 86_400])
def test_a_timeout_within_the_limits_passes(timeout: float | None) -> None:
    check_timeout(timeout)


@pytest.mark.parametrize("timeout", [0, -1, 0.009, math.nan, math.inf, -math.inf, 1e10, 2**70])
def test_a_timeout_out_of_its_bounds_is_an_error_with_both(timeout: float) -> None:
    with pytest.raises(ValueError, match=r"^timeout: expected 0\.01 … 86400 seconds, got "):
        check_timeout(timeout)


@pytest.mark.parametrize("timeout", ["1", True, Decimal(1), [1]])
def test_a_timeout_that_is_no_number_is_an_error(timeout: Any) -> None:
    with pytest.raises(TypeError, match=r"^timeout: expected a number of seconds, got "):
        check_timeout(timeout)


@pytest.mark.parametrize(("source", "error"), [(None, TypeError), (5, TypeError)])
def test_a_source_that_is_no_text_is_an_error(source: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="source: expected a URI reference"):
        check_source(source)


@pytest.mark.parametrize("source", ["", "a b", "\0", "/\ud800", "x" * 1_001])
def test_a_source_that_is_no_uri_reference_is_an_error(source: str) -> None:
    with pytest.raises(ValueError, match="source: expected "):
        check_source(source)
