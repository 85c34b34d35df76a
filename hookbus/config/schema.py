"""The JSON Schema of a settings file, for editors: what they complete, explain and underline. Pure.

It takes all that the parser takes. The parser refuses more: contradictions, conditions and
schemas that do not compile, names that are reserved.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from hookbus.config.settings import Section, Settings
from hookbus.manifest.hook import HookOverlay

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_ATTRIBUTE: Final = re.compile(r"    (\w+(?:, \w+)*): (.*)")


def settings_schema() -> dict[str, Any]:
    """Make the schema: JSON Schema 2020-12 of the tree that TOML gives for a file."""
    made = _plain(Settings.model_json_schema(by_alias=True))
    sections = {Settings.__name__: made, **made["$defs"]}
    models: list[type[BaseModel]] = [*_below(Section), HookOverlay]
    for model in models:
        if model.__name__ in sections:
            _explain(sections[model.__name__], model)
    _allow_a_path(made["$defs"]["TypeSettings"]["properties"]["schema"])
    return {"$schema": DIALECT, "title": "hookbus.toml", **made}


def _plain(value: Any) -> Any:
    """Leave out what is only noise to an editor, and what TOML has no word for: null."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value.get("title"), str):
        del value["title"]
    if value.get("default", 0) is None or isinstance(value.get("default"), dict):
        del value["default"]
    choices = [choice for choice in value.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del value["anyOf"]
        value |= choices[0]
    if isinstance(value.get("patternProperties"), dict):
        # names that are none are refused, not only unexplained
        [(pattern, inner)] = value.pop("patternProperties").items()
        names = {"pattern": pattern, **value.get("propertyNames", {})}
        value |= {"additionalProperties": inner, "propertyNames": names}
    return value


def _explain(section: dict[str, Any], model: type[BaseModel]) -> None:
    """Say in words what the section and each of its keys is."""
    texts = attributes_of(model)
    section["description"] = _first_paragraph(model)
    for name, field in model.model_fields.items():
        key = field.alias or name
        if name in texts:
            section["properties"][key]["description"] = _prose(texts[name])


def _allow_a_path(schema: dict[str, Any]) -> None:
    """In a file, which the parser of trees does not see, a schema may stand in a file beside it."""
    kinds = {key: schema.pop(key) for key in ("type", "additionalProperties") if key in schema}
    schema["anyOf"] = [kinds, {"type": "string"}]


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for inner in model.__subclasses__():
        yield inner
        yield from _below(inner)


def _first_paragraph(model: type[BaseModel]) -> str:
    docstring = inspect.cleandoc(model.__dict__.get("__doc__") or "")
    return _prose(docstring.partition("Attributes:\n")[0])


def _prose(text: str) -> str:
    """Write a docstring's text on one line, in the Markdown that editors show."""
    return " ".join(text.replace("``", "`").split())


def attributes_of(model: type) -> dict[str, str]:
    """Read the ``Attributes:`` of a class and of those above it: text by name."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        docstring = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        found |= _attributes(docstring.partition("Attributes:\n")[2])
    return found


def _attributes(section: str) -> dict[str, str]:
    """``"    a, b: text\\n        that goes on" → {"a": "text that goes on", "b": …}``"""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line.startswith("        "):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        elif match := _ATTRIBUTE.match(line):
            names = match[1].split(", ")
            found |= dict.fromkeys(names, match[2])
        elif line:
            break
    return found
