"""What of hookbus is public: the modules, their names, and what is said of each."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import msgspec
from pydantic import BaseModel

from hookbus.config.schema import attributes_of

#: In the order of docs/api.md. All else may change without a word.
PUBLIC_MODULES = (
    "hookbus",
    "hookbus.local",
    "hookbus.testing",
    "hookbus.models",
    "hookbus.errors",
    "hookbus.plugin",
    "hookbus.transport",
)


def modules() -> list[ModuleType]:
    return [import_module(name) for name in PUBLIC_MODULES]


def names() -> list[tuple[str, str]]:
    """Every public name, as module and name."""
    return [(module.__name__, name) for module in modules() for name in module.__all__]


def value_of(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def is_alias(value: Any) -> bool:
    """Tell a type alias, which has no docstring, from a class or function."""
    return not (inspect.isclass(value) or inspect.isroutine(value))


def text_of(module: str, name: str) -> str:
    """What is said of a name: its own docstring, or of an alias the ``#:`` comment above it."""
    value = value_of(module, name)
    if not is_alias(value):
        return inspect.cleandoc(
            value.__dict__.get("__doc__") or "" if inspect.isclass(value) else value.__doc__ or ""
        )
    for home in ("hookbus.models", "hookbus.errors", "hookbus.message", "hookbus.testing.script"):
        if (found := _comment(inspect.getsource(import_module(home)), name)) is not None:
            return found
    return ""


def _comment(source: str, name: str) -> str | None:
    match = re.search(rf"((?:^#: .*\n)+){name}(?:: TypeAlias)? = ", source, re.MULTILINE)
    return None if match is None else " ".join(match[1].replace("#: ", "").split())


def summary(text: str) -> str:
    """The first paragraph, on one line."""
    return " ".join(text.partition("\n\n")[0].split())


def fields_of(value: type) -> set[str]:
    """The public attributes that an instance has: fields, and what ``__init__`` sets."""
    if issubclass(value, msgspec.Struct):
        found = set(value.__struct_fields__)
    elif issubclass(value, BaseModel):
        found = set(value.model_fields)
    elif dataclasses.is_dataclass(value):
        found = {field.name for field in dataclasses.fields(value)}
    else:
        found = set(_set_in_init(value))
    return {name for name in found if not name.startswith("_")}


def _set_in_init(value: type) -> Iterator[str]:
    if "__init__" not in value.__dict__ or not value.__module__.startswith("hookbus"):
        return
    source = inspect.cleandoc("\n" + inspect.getsource(value.__init__))
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            yield node.attr


def explained_fields(value: type) -> set[str]:
    """Those that ``Attributes:`` or a ``#:`` comment in ``__init__`` explains."""
    explained = set(attributes_of(value))
    with_comment = re.findall(r"#: .*\n\s+self\.(\w+)", inspect.getsource(value))
    return explained | set(with_comment)


def methods_of(value: type) -> dict[str, str]:
    """The public methods and properties that the class itself defines, and what is said of them."""
    return {
        name: inspect.getdoc(getattr(value, name)) or ""
        for name, member in value.__dict__.items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod))
    }


def parameters_of(module: str, name: str) -> Iterator[tuple[str, str]]:
    """Each parameter of a public function or method, and what is said of the whole."""
    value = value_of(module, name)
    for place, function, text in _callables(name, value):
        if "see :meth:" in text:
            continue
        for parameter in inspect.signature(function).parameters:
            if parameter not in ("self", "cls"):
                yield f"{place}({parameter})", text


def _callables(name: str, value: Any) -> Iterator[tuple[str, Any, str]]:
    if inspect.isroutine(value):
        yield name, value, inspect.getdoc(value) or ""
    if not inspect.isclass(value):
        return
    for method, text in methods_of(value).items():
        if inspect.isroutine(getattr(value, method)):
            yield f"{name}.{method}", getattr(value, method), text
    made = value.__dict__.get("__init__")
    if inspect.isfunction(made) and made.__module__.startswith("hookbus"):
        yield name, made, f"{inspect.getdoc(made)} {inspect.getdoc(value)}"
