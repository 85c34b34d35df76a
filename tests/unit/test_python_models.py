"""Generated models: valid, lenient as the schema, and never more than a schema may say."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookbus import HookEvent, Intercept, Payload, Plugin
from hookbus.cli.types.python_models import alternatives, python_models
from hookbus.json_values import plain
from hookbus.schemas.compiled import compile_schema
from hookbus.testing import call_plugin, run_virtual
from tests.unit.schema_strategies import data, schemas
from tests.unit.test_schema_compare import is_schema

EXAMPLES = int(os.environ.get("HOOKBUS_EXAMPLES", "100"))

ORDER: dict[str, Any] = {
    "title": "An order of a customer",
    "type": "object",
    "required": ["id", "lines", "class", "count"],
    "properties": {
        "id": {"type": "string"},
        "class": {"type": "string"},
        "total": {"type": "number"},
        "count": {"type": "integer"},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "currency": {"enum": ["eur", "usd"]},
        "channel": {
            "enum": ["a channel with a long name", "another channel with one", 'a "third"']
        },
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "tree": {"$ref": "#/$defs/node"},
        "prices": {"type": "object", "additionalProperties": {"type": "integer"}},
        "address": {"type": ["object", "null"], "properties": {"zip": {"type": "string"}}},
        "weird-name": {"type": "boolean"},
        "model_x": {},
        "copy": {"type": "null"},
        "str": {"type": "string"},
        "reference": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "untyped": {"minLength": 3},
        "never": False,
    },
    "$defs": {
        "line": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}},
        "node": {
            "type": "object",
            "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
        },
    },
    "examples": [
        {"id": "1", "lines": [], "class": "a", "count": 0},
        {
            **{"id": "1", "lines": [{"sku": "x", "more": 1}], "class": "a", "count": 1e30},
            **{"total": 1, "stars": 5.0, "currency": "eur", "channel": 'a "third"'},
            **{"tree": {"kids": [{"kids": []}, {}]}, "prices": {"a": 1, "b": 2.0}, "address": None},
            **{"weird-name": True, "model_x": [1], "copy": None, "str": "s", "reference": 5},
            **{"untyped": [None], "and": {"so": "on"}},
        },
    ],
}


def imported(text: str, name: str = "generated") -> ModuleType:
    """Import a module from its text, as a file would be."""
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks names of annotations up there
    exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
    return module


@pytest.fixture
def order() -> Iterator[type[Payload]]:
    yield imported(python_models({"order_placed": ORDER})).OrderPlaced
    del sys.modules["generated"]


def test_every_example_of_the_schema_is_a_model_and_comes_back_as_it_was(
    order: type[Payload],
) -> None:
    for example in ORDER["examples"]:
        assert plain(order.model_validate(example)) == example


def test_the_model_names_its_type_and_what_is_optional_is_none(order: type[Payload]) -> None:
    made: Any = order.model_validate(ORDER["examples"][0])

    assert order.event_type == "order_placed"
    assert (made.id, made.class_, made.total, made.currency) == ("1", "a", None, None)
    assert order.__doc__ == "An order of a customer"


def test_a_handler_takes_the_model_and_what_it_changes_has_the_schemas_names(
    order: type[Payload],
) -> None:
    plugin = Plugin("greeter", version="1.0.0")

    async def on_order(event: Any) -> Intercept:
        return Intercept(data=event.data.model_copy(update={"class_": "b"}))

    on_order.__annotations__["event"] = HookEvent[order]  # type: ignore[valid-type]
    plugin.hook(order.event_type, phase="mutate")(on_order)

    verdict: Any = run_virtual(call_plugin(plugin, order.event_type, ORDER["examples"][0]))

    assert plain(verdict.data) == {**ORDER["examples"][0], "class": "b"}


def test_the_same_types_give_the_same_text_in_any_order() -> None:
    types = {"b_done": ORDER, "a_done": ORDER, "c_done": None}

    assert python_models(types) == python_models(dict(reversed(types.items())))


def test_what_may_be_no_object_has_no_model_and_says_so() -> None:
    text = python_models({"a_done": None, "b_done": {"type": ["object", "null"]}, "c_done": {}})

    assert "class" not in text
    assert text.count("no model, its data may be other than an object") == 3


def test_names_that_collide_are_told_apart() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a-b": {"type": "string"},
            "a_b": {"type": "string"},
            "a b": {"type": "string"},
            "A": {"type": "object", "properties": {"x": {}}},
            "a": {"type": "object", "properties": {"y": {}}},
        },
    }
    module = imported(python_models({"any": schema, "a.b_done": schema, "a_b.done": schema}))

    made = module.Any2.model_validate({"a-b": "1", "a_b": "2", "a b": "3", "A": {"x": 1}, "a": {}})

    assert (made.a_b, made.a_b_2, made.a_b_3) == ("2", "1", "3")
    assert {"ABDone", "ABDone2"} <= set(vars(module))


NASTY = (
    '"""\nimport os; os.abort()\n"""',
    "\\",
    '\\"""',
    "'; raise SystemExit #",
    "a\nb = 1",
    "a\u2028raise SystemExit",
    "\x00\x1b[2J",
    "{__import__('os')}",
    "]; x = [",
    "\u202eevil",
    "__class__",
    "event_type",
    "",
    "0",
    "é",
)


@pytest.mark.parametrize("text", NASTY)
def test_no_text_of_a_schema_becomes_code(text: str) -> None:
    schema = {
        "type": "object",
        "title": text,
        "description": text,
        "required": [text],
        "properties": {
            text: {"enum": [text, text + "x" * 50], "description": text},
            "inner": {"type": "object", "title": text, "properties": {text: {"const": text}}},
        },
        "$defs": {text: {"type": "object", "properties": {"x": {}}}},
    }

    module = python_models({"order_placed": schema})

    only = (ast.ClassDef, ast.Assign, ast.AnnAssign, ast.ImportFrom, ast.Expr)
    tree = ast.parse(module)
    assert all(isinstance(statement, only) for statement in tree.body)
    calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    assert calls <= {"Field", "ConfigDict"}
    assert all(character.isprintable() or character == "\n" for character in module)
    model = imported(module).OrderPlaced
    event = {text: text, "inner": {text: text}}
    assert plain(model.model_validate(event)) == event


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(
    schemas.map(lambda s: {**s, "type": "object"}).filter(is_schema), st.lists(data, max_size=30)
)
def test_a_model_takes_all_that_its_schema_takes(schema: Any, events: list[Any]) -> None:
    compiled = compile_schema(schema)
    module = imported(python_models({"order_placed": schema}), "drawn")
    model = getattr(module, "OrderPlaced", None)

    for event in events:
        if model is not None and compiled.is_valid(event):
            assert plain(model.model_validate(event)) == event


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text(), st.text(), st.text())
def test_any_text_makes_a_module_that_can_be_imported(one: str, two: str, three: str) -> None:
    properties = {text: {"enum": [one, two, three], "title": two} for text in (one, two, three)}
    schema = {"type": "object", "title": three, "properties": properties}

    module = imported(python_models({"order_placed": schema}), "drawn")

    event = {one: two, three: one}
    assert plain(module.OrderPlaced.model_validate(event)) == event


def test_the_module_is_formatted_and_typed(tmp_path: Path) -> None:
    file = tmp_path / "events.py"
    file.write_text(python_models({"order_placed": ORDER, "order_lost": {"type": "object"}}))
    used = tmp_path / "uses.py"
    used.write_text(
        "from hookbus import HookEvent, Plugin\nfrom events import OrderPlaced\n"
        'plugin = Plugin("a", version="1.0.0")\n\n'
        '@plugin.hook("order_placed", phase="validate")\n'
        "async def check(event: HookEvent[OrderPlaced]) -> None:\n"
        "    total: float | None = event.data.total\n"
        "    sku: str = event.data.lines[0].sku\n"
    )

    for command in (
        ["ruff", "format", "--isolated", "--check", str(file)],
        ["ruff", "check", "--isolated", "--select", "E,F,I,UP,B,N", str(file)],
        ["mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(file), str(used)],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_text_is_utf8_whatever_the_schema_says() -> None:
    schema = msgspec.json.decode(b'{"type":"object","title":"\\u00e9\\ud83d\\ude00"}')

    assert "é😀" in python_models({"x_done": schema}).encode().decode()


@pytest.mark.parametrize(
    ("annotation", "parts"),
    [
        ("str", ["str"]),
        ("str | None", ["str", "None"]),
        ("list[int | None] | str", ["list[int | None]", "str"]),
        (
            "dict[str, list[A | B] | None] | list[C | D]",
            ["dict[str, list[A | B] | None]", "list[C | D]"],
        ),
    ],
)
def test_a_union_is_taken_apart_between_its_parts_only(annotation: str, parts: list[str]) -> None:
    assert alternatives(annotation) == parts


@pytest.mark.parametrize(
    ("field", "values"),
    [
        (
            {"type": ["array", "null"], "items": {"type": ["number", "null"]}},
            [[1, None, 2.5], None],
        ),
        (
            {
                "anyOf": [
                    {"type": "array", "items": {"type": ["string", "integer"]}},
                    {"type": "array", "items": {"type": "boolean"}},
                ]
            },
            [["a", 1], [True]],
        ),
        (
            {
                "anyOf": [
                    {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
                    {"type": "array", "items": {"type": ["string", "null"]}},
                ]
            },
            [{"a": None}, ["b", None]],
        ),
    ],
)
def test_a_union_of_lists_and_maps_takes_what_the_schema_takes(
    field: dict[str, Any], values: list[Any]
) -> None:
    schema = {"type": "object", "properties": {"f": field}}
    model = imported(python_models({"thing_done": schema})).ThingDone
    for value in values:
        assert plain(model.model_validate({"f": value})) == {"f": value}
