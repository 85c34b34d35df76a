"""Settings as a TOML file: written from the registry's rows, and read to be applied.

Keys of the rows are TOML's own dotted keys (``types."chat.sent".conflict``), so the part before
the last dot is the table that a value stands in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hookbus.cli.errors import UsageError
from hookbus.cli.printable import clean
from hookbus.conditions import check_condition
from hookbus.config.flatten import Row
from hookbus.config.load import read_partly
from hookbus.config.partly import unrelated
from hookbus.config.settings import DEFAULT_ORIGIN, Settings, to_tree
from hookbus.errors import Problem, SettingsError
from hookbus.manifest.problems import join
from hookbus.registry.binder import bind
from hookbus.registry.policy import Overrides

#: Always written: what the mode is by default is told to each registry when it is started.
_MODE: Final = "mode"


def rows_of(answer: dict[str, Any], listed: dict[str, Any]) -> list[Row]:
    """Read the registry's answers to ``settings`` and ``list``.

    A hook's table may be empty and still bind the hook. It has no row then, but what is listed
    tells that the settings name it.
    """
    rows = [Row(row["key"], row["value"], row["origin"]) for row in answer["settings"]]
    named = [
        join("plugins", plugin["plugin"], "hooks", hook["name"])
        for plugin in listed["plugins"]
        for hook in plugin["hooks"]
        if hook["origin"] == "settings"
    ]
    empty = [key for key in named if not any(_is_within(row.key, key) for row in rows)]
    return rows + [Row(key, {}, "settings") for key in empty]


def _is_within(key: str, section: str) -> bool:
    return key == section or key.startswith(f"{section}.")


def to_toml(rows: Iterable[Row]) -> Iterator[str]:
    """Write rows as the lines of a file; what is a default stands there as a comment.

    Raises:
        UsageError: A value is or holds null, which TOML does not know.
    """
    table = ""
    for row in rows:
        section, _, name = row.key.rpartition(".")
        if section != table:
            table = section
            yield ""
            yield f"[{table}]"
        is_said = row.origin != DEFAULT_ORIGIN or row.key == _MODE
        yield f"{'' if is_said else '# '}{name} = {_value(row.value, row.key)}"


def type_as_toml(name: str, schema: Mapping[str, Any]) -> str:
    """Write what a settings file has to say for a type to have that schema."""
    section = join("types", name)
    try:
        return f"[{section}]\nschema = {_value(schema, section)}"
    except UsageError:  # TOML cannot say null: the schema stays in its own file
        return f'[{section}]\nschema = "{name}.json"  # the path of a file with the schema'


def _value(value: Any, at: str) -> str:
    if value is None:
        raise UsageError(
            f"settings --as-file: {at}: TOML cannot say null; use 'hookbus settings --json'"
        )
    if isinstance(value, Mapping):
        members = (f"{_text(k)} = {_value(v, join(at, k))}" for k, v in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_value(v, f'{at}[{i}]') for i, v in enumerate(value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    """Quote as TOML does: JSON's escapes, and what would do something to a terminal as well."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if clean(c) or c.isspace() else _escaped(c) for c in quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def read_file(file: Path) -> Settings:
    """Read and check a settings file as it is, whatever this process's environment says.

    Raises:
        SettingsError: With a line for each problem: file, line, key and what is wrong.
    """
    settings, origins, problems = read_partly(file)
    unsaid = set(_unsaid(settings))
    more = [problem for problem in _problems(settings) if problem.at not in unsaid]
    problems += unrelated(more, problems)
    if problems:
        raise SettingsError(origins.report(problems))
    return settings


def to_be_announced(settings: Settings) -> list[Problem]:
    """Find hooks that are bound only once the plugin has said their type or phase itself."""
    consequence = (
        "a registry refuses to start" if is_for_production(settings) else "the hook is not bound"
    )
    unsaid = [
        Problem(at, f"not said: {consequence} until the plugin has announced it")
        for at in _unsaid(settings)
    ]
    hookless = [
        Problem(join("plugins", plugin), "names no hook: it is asked about those that it announces")
        for plugin, about in settings.plugins.items()
        if not is_for_production(settings) and not about.hooks and about.manifest is None
    ]
    return unsaid + hookless


def is_for_production(settings: Settings) -> bool:
    """Tell whether the file itself says so: without a word the mode is that of the bus."""
    is_said = settings.origins.fields.get(_MODE) != DEFAULT_ORIGIN
    return is_said and settings.mode == "production"


def _unsaid(settings: Settings) -> Iterator[str]:
    for plugin, about in settings.plugins.items():
        for hook, overlay in about.hooks.items():
            for option in ("type", "phase"):
                if getattr(overlay, option) is None:
                    yield join("plugins", plugin, "hooks", hook, option)


def _problems(settings: Settings) -> Iterable[Problem]:
    """Find what the registry would find when it binds: unknown types, wrong conditions.

    A file that does not say the mode may be meant for a bus that waits for announcements.
    """
    mode = "production" if is_for_production(settings) else "development"
    bound = bind({}, settings.model_copy(update={"mode": mode}), Overrides(), 0.0)
    found = [problem for problems in bound.problems.values() for problem in problems]
    return dict.fromkeys([*found, *_condition_problems(settings)])


def _condition_problems(settings: Settings) -> Iterator[Problem]:
    """Look also at the conditions of hooks that cannot be bound yet."""
    for plugin, about in settings.plugins.items():
        for hook, overlay in about.hooks.items():
            for index, source in enumerate(overlay.when):
                wrong = check_condition(source)
                if wrong is not None:
                    yield Problem(join("plugins", plugin, "hooks", hook, "when", index), wrong)


def to_apply(settings: Settings) -> dict[str, Any]:
    """Return what the file says, and nothing that it does not say, for an ``apply``."""
    tree = to_tree(settings)
    if settings.origins.fields.get(_MODE) == DEFAULT_ORIGIN:
        del tree[_MODE]
    return tree
