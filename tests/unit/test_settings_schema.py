"""The JSON Schema of settings files: it takes what the parser takes, and explains every key."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest

from hookbus.config.schema import settings_schema
from hookbus.config.settings import parse_settings
from hookbus.errors import SettingsError
from tests.fuzz import settings_trees

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "docs" / "hookbus.schema.json"

SCHEMA = settings_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

#: One value for every key there is.
WHOLE: dict[str, Any] = {
    "mode": "production",
    "timeout_ms": 800,
    "max_timeout_ms": 20_000,
    "ready_timeout_ms": 0,
    "max_event_bytes": "64KiB",
    "max_depth": 3,
    "max_in_flight": 10,
    "max_plugins": 2,
    "idempotency": "off",
    "audit": "best_effort",
    "observe": "always",
    "upgrade": "same_permissions",
    "trace_sampling": 1,
    "replicas": 3,
    "breaker": {"failures": 1, "open_ms": 1, "max_open_ms": 1},
    "observers": {"ack_wait_ms": 100, "max_deliver": 1, "backoff_ms": [1]},
    "patch": {"max_ops": 1, "max_growth": 1.5},
    "streams": {
        "DECISIONS": {"max_age": "7d", "max_bytes": "1GiB"},
        "OBSERVE": {"max_age": 3600, "max_bytes": 1024},
        "INPUTS": {"max_age": 1.5},
        "DLQ": {"max_age": "1.5 h", "max_bytes": "10 MiB"},
    },
    "types": {
        "order.placed": {
            "schema": {"required": ["total"]},
            "timeout_ms": 10,
            "max_timeout_ms": 10,
            "conflict": "block",
            "on_not_converged": "accept",
            "max_rounds": 1,
            "record_payload": "masked",
            "secret": ["/card/number", ""],
        }
    },
    "plugins": {
        "guard": {
            "config": {"token": "env:TOKEN", "file": "file:/run/secret", "n": [1, {"a": True}]},
            "manifest": "plugin.toml",
            "hooks": {
                "message-received": {
                    "type": "chat.*",
                    "phase": "validate",
                    "priority": -1000,
                    "timeout_ms": 1,
                    "on_failure": "open",
                    "mode": "shadow",
                    "min_ms": 1,
                    "reinvoke": "if_needed",
                    "side_effects": "some",
                    "when": ["data.text != ''"],
                    "writable": ["/text"],
                    "rewrites": [],
                    "cache_ttl_ms": 5,
                    "cache_key": ["/text"],
                    "retry": 5,
                    "max_reply_bytes": 1,
                    "disallow": "ignore",
                    "max_extension_ms": 30_000,
                }
            },
        }
    },
}
VALUES = (
    *(0, 1, -1, 10, 1.5, 1e308, 2**53, -1001, 30_001, True, "", "x", "on", "block", "7d", "1GiB"),
    *("1 nope", "a.b", "A", "chat.>", "*", "/a", "~", [], ["/a"], ["~"], [1], {}, {"x": 1}, "none"),
    *({"max_age": "1d"}, {"type": "x", "phase": "observe"}, {"schema": {}}, {"hooks": {"h": {}}}),
)


def parser_takes(tree: Any) -> bool:
    try:
        parse_settings(tree, "tree")
    except SettingsError:
        return False
    return True


def explained(tree: Any) -> str:
    return "; ".join(f"{e.json_path}: {e.message}" for e in VALIDATOR.iter_errors(tree))


def places(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for key, value in tree.items():
        yield tree, key
        if isinstance(value, dict):
            yield from places(value)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_shipped_copy_is_current() -> None:
    # mend it: hookbus settings schema > docs/hookbus.schema.json
    assert json.loads(SHIPPED.read_text()) == SCHEMA


def test_the_sample_has_every_key_and_both_take_it() -> None:
    assert parser_takes(WHOLE)
    assert explained(WHOLE) == ""
    written = {key for _, key in places(WHOLE)}
    assert {key for properties in all_properties() for key in properties} <= written


def all_properties() -> list[dict[str, Any]]:
    sections = [SCHEMA, *SCHEMA["$defs"].values()]
    return [section["properties"] for section in sections]


def test_every_key_is_explained_and_no_other_is_taken() -> None:
    for section in (SCHEMA, *SCHEMA["$defs"].values()):
        assert section["description"]
        assert section["additionalProperties"] is False
    silent = [k for p in all_properties() for k, said in p.items() if not said.get("description")]
    assert silent == []


@pytest.mark.parametrize("seed", range(20))
def test_what_the_parser_takes_the_schema_takes(seed: int) -> None:
    """So an editor never underlines what is right."""
    random = Random(seed)
    for _ in range(100):
        tree = copy.deepcopy(WHOLE)
        for _ in range(random.choice((1, 1, 2))):
            section, key = random.choice(list(places(tree)))
            match random.randrange(4):
                case 0:
                    del section[key]
                case 1:
                    section[random.choice(("nope", "Nope", "a-b", "a_b"))] = random.choice(VALUES)
                case _:
                    section[key] = random.choice(VALUES)
        if parser_takes(tree):
            assert explained(tree) == "", tree


def test_what_the_parser_takes_of_hostile_trees_the_schema_takes() -> None:
    random = Random(7)
    taken = 0
    for _ in range(1_500):
        tree = decoded(settings_trees.tree(random), json.loads)
        if tree is not None and "null" not in json.dumps(tree) and parser_takes(tree):
            taken += 1
            assert explained(tree) == "", tree
    for _ in range(1_500):
        tree = decoded(settings_trees.toml(random), tomllib.loads)
        if tree is not None and parser_takes(tree):
            taken += 1
            assert explained(tree) == "", tree
    assert taken > 100


def decoded(text: str, decode: Any) -> Any:
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return None


def files() -> Iterator[tuple[str, str]]:
    """Every settings file in the documentation, the plugins, deploy and the tests' corpus."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").glob("*/*.md")]
    for page in pages:
        for number, block in enumerate(
            re.findall(r"```toml[^\n]*\n(.*?)```", page.read_text(), re.S)
        ):
            yield f"{page.relative_to(ROOT)}-{number}", block
    for file in (ROOT / "deploy").rglob("*.toml"):
        yield str(file.relative_to(ROOT)), file.read_text()
    for file in (ROOT / "tests/fuzz/corpus").glob("settings-*.json"):
        for number, part in enumerate(json.loads(file.read_text())["fields"].get("body", ())):
            if isinstance(part, str):
                yield f"{file.name}-{number}", part


@pytest.mark.parametrize(("name", "text"), list(files()), ids=[name for name, _ in files()])
def test_every_settings_file_of_ours_is_taken(name: str, text: str) -> None:
    tree = decoded(text, tomllib.loads)
    if tree is not None and parser_takes(tree):
        assert explained(tree) == ""


@pytest.mark.parametrize(
    ("tree", "where"),
    [
        ({"timeout": 1}, "$"),
        ({"timeout_ms": "800"}, "$.timeout_ms"),
        ({"timeout_ms": 9}, "$.timeout_ms"),
        ({"replicas": 6}, "$.replicas"),
        ({"mode": "staging"}, "$.mode"),
        ({"max_event_bytes": "64KB"}, "$.max_event_bytes"),
        ({"max_event_bytes": 2**30}, "$.max_event_bytes"),
        ({"streams": {"DECISIONS": {"max_age": "7 days"}}}, "$.streams.DECISIONS.max_age"),
        ({"streams": {"OTHER": {}}}, "$.streams"),
        ({"types": {"Order": {}}}, "$.types"),
        ({"types": {"order": {"secret": ["card"]}}}, "$.types.order.secret[0]"),
        ({"plugins": {"Guard": {}}}, "$.plugins"),
        (
            {"plugins": {"guard": {"hooks": {"h": {"phase": "before"}}}}},
            "$.plugins.guard.hooks.h.phase",
        ),
        ({"plugins": {"guard": {"hooks": {"h": {"timeout": 1}}}}}, "$.plugins.guard.hooks.h"),
        ({"plugins": {"guard": {"hooks": {"a b": {}}}}}, "$.plugins.guard.hooks"),
        (
            {"plugins": {"guard": {"hooks": {"h": {"type": "Chat"}}}}},
            "$.plugins.guard.hooks.h.type",
        ),
    ],
)
def test_an_editor_underlines_what_the_parser_refuses(tree: dict[str, Any], where: str) -> None:
    assert not parser_takes(tree)
    assert [error.json_path for error in VALIDATOR.iter_errors(tree)] == [where]
