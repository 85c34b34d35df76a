"""Every public name is listed, explained, and on the page docs/api.md."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

from tests.docs import public_names
from tests.docs.api_page import render

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
NAMES = public_names.names()
CLASSES = [(m, n) for m, n in NAMES if inspect.isclass(public_names.value_of(m, n))]


@pytest.mark.parametrize("module", public_names.modules(), ids=public_names.PUBLIC_MODULES)
def test_the_names_of_a_module_are_there_sorted_and_all_of_them(module: ModuleType) -> None:
    listed = module.__all__

    assert listed == sorted(set(listed))
    assert [name for name in listed if not hasattr(module, name)] == []
    defined = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, TypeVar)
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isclass(value) or inspect.isroutine(value))
    }
    assert defined - set(listed) == set()


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_public_name_is_explained(module: str, name: str) -> None:
    text = public_names.text_of(module, name)

    assert text
    assert public_names.summary(text).endswith((".", ":", "?"))


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_every_field_of_a_public_class_is_explained(module: str, name: str) -> None:
    value = public_names.value_of(module, name)

    assert public_names.fields_of(value) - public_names.explained_fields(value) == set()


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_every_method_of_a_public_class_is_explained(module: str, name: str) -> None:
    methods = public_names.methods_of(public_names.value_of(module, name))

    assert [method for method, text in methods.items() if not text] == []


#: What users do not make or call themselves: errors, and what stands in for asyncio's own.
MADE_BY_US = ("hookbus.errors", "Unavailable", "InvalidManifest", "Answers", "VirtualTimeLoop")
MADE_BY_US += ("NatsTransport(url)", "NatsTransport(principal)")


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_parameter_is_named_where_it_is_explained(module: str, name: str) -> None:
    unsaid = [
        place
        for place, text in public_names.parameters_of(module, name)
        if not re.search(rf"\b{place.partition('(')[2][:-1]}\b", text)
        and not (module in MADE_BY_US or name in MADE_BY_US or place in MADE_BY_US)
    ]

    assert unsaid == []


def test_the_page_lists_all_of_them() -> None:
    # mend it: python -m tests.docs.api_page > docs/api.md
    assert PAGE.read_text() == render()
