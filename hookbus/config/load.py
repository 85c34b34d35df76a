"""Settings from the TOML file and the environment."""

from __future__ import annotations

import errno
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import BaseModel

from hookbus.config.manifests import with_manifests
from hookbus.config.partly import parse_partly
from hookbus.config.settings import DEFAULT_ORIGIN, BusMode, Origins, Settings, parse_settings
from hookbus.errors import Problem, SettingsError
from hookbus.manifest.problems import join

DEFAULT_FILE: Final = Path("hookbus.toml")
FILE_VARIABLE: Final = "HOOKBUS_SETTINGS"
VARIABLE_PREFIX: Final = "HOOKBUS_"


def load_settings(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    default_mode: BusMode = "production",
) -> Settings:
    """Read the settings of this process; the environment wins over the file.

    The file is *path*, else what ``HOOKBUS_SETTINGS`` names, else ``./hookbus.toml`` if it is
    there. Paths in it are relative to it. A field of the top level that is no table is overridden
    by ``HOOKBUS_<FIELD>``; an empty variable counts as not set.

    Raises:
        SettingsError: If a file cannot be read, or a value cannot be used; names file and line, or
            file and field, or the variable.
    """
    return read_settings(path, environ, default_mode=default_mode).settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings as they were read.

    Attributes:
        file: the settings file, None without one; *files* are all that were read, it and those
            that it names.
        is_said: anything but the mode was said at all.
    """

    settings: Settings
    file: Path | None
    files: tuple[Path, ...]
    is_said: bool


def read_settings(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    default_mode: BusMode = "production",
) -> Loaded:
    """Read the settings as :func:`load_settings` does, and tell where they stand."""
    found = _read(path, os.environ if environ is None else environ, default_mode)
    settings = parse_settings(found.tree, found.origins)
    return Loaded(settings, found.file, tuple(found.files), found.is_said)


def read_partly(path: Path) -> tuple[Settings, Origins, list[Problem]]:
    """Read what of a file can be used, whatever this process's environment says.

    Returns it, where it stands, and all that is wrong with the rest.

    Raises:
        SettingsError: It, or a file that it names, cannot be read at all.
    """
    found = _read(path, {}, "production")
    settings, problems = parse_partly(found.tree)
    settings._origins = found.origins
    return settings, found.origins, problems


@dataclass(frozen=True, slots=True)
class _Found:
    tree: dict[str, Any]
    origins: Origins
    file: Path | None
    files: list[Path]
    is_said: bool


def _read(path: Path | None, environ: Mapping[str, str], default_mode: BusMode) -> _Found:
    file = _find(path, environ)
    read: dict[Path, bytes] = {}

    def contents(path: Path) -> bytes:
        read[path] = b""  # one that cannot be read may be there later
        read[path] = _contents(path)
        return read[path]

    tree = {} if file is None else _read_tree(file, contents)
    overrides = _overrides(environ)
    tree |= {field: _scalar(environ[variable]) for field, variable in overrides.items()}
    is_said = file is not None or bool(tree)
    if "mode" not in tree:
        tree["mode"], overrides["mode"] = default_mode, DEFAULT_ORIGIN
    text = read[file].decode() if file is not None else ""
    origins = Origins(str(file or "settings"), overrides, text)
    return _Found(tree, origins, file, list(read), is_said)


def _find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is not None:
        return path
    if named := environ.get(FILE_VARIABLE):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _read_tree(file: Path, read: Callable[[Path], bytes]) -> dict[str, Any]:
    try:
        tree = tomllib.loads(read(file).decode())
    except UnicodeDecodeError as e:
        raise SettingsError(f"{file}: expected UTF-8: {e}") from e
    # besides its own error tomllib lets those of int() and of deep nesting through
    except (ValueError, RecursionError) as e:
        raise SettingsError(f"{file}: expected TOML: {e}") from e
    except OSError as e:
        raise SettingsError(f"{file}: cannot be read: {e.strerror}") from e
    tree = _change(tree, "types", "schema", lambda name, path: _schema(file, name, path, read))
    return with_manifests(file, tree, read)


def _contents(file: Path) -> bytes:
    # reading a pipe or a terminal would wait for ever, reading a device never end
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise OSError(errno.EINVAL, "not a regular file")
    return file.read_bytes()


def _change(
    tree: dict[str, Any], table: str, key: str, make: Callable[[str, str], object]
) -> dict[str, Any]:
    """Replace the text at ``<table>.*.<key>``; what is not shaped like that is refused later."""
    sections = tree.get(table)
    if not isinstance(sections, dict):
        return tree
    changed = {
        name: {**section, key: make(name, section[key])}
        for name, section in sections.items()
        if isinstance(section, dict) and isinstance(section.get(key), str)
    }
    return {**tree, table: {**sections, **changed}}


def _schema(file: Path, event_type: str, path: str, read: Callable[[Path], bytes]) -> object:
    at = f"{file}: {join('types', event_type, 'schema')}"
    try:
        return msgspec.json.decode(read(file.parent / path))
    except OSError as e:
        raise SettingsError(f"{at}: {path!r} cannot be read: {e.strerror}") from e
    # ValueError: not UTF-8, or a path with a NUL in it
    except (msgspec.DecodeError, ValueError, RecursionError) as e:
        raise SettingsError(f"{at}: expected JSON in {path!r}: {e}") from e


def _overrides(environ: Mapping[str, str]) -> dict[str, str]:
    """Find the variables that are set, by the field that each overrides."""
    variables = {name: f"{VARIABLE_PREFIX}{name.upper()}" for name in _scalar_fields()}
    return {name: variable for name, variable in variables.items() if environ.get(variable)}


def _scalar_fields() -> list[str]:
    defaults = Settings()
    return [
        name
        for name in Settings.model_fields
        if not isinstance(getattr(defaults, name), (BaseModel, Mapping))
    ]


def _scalar(text: str) -> int | float | str:
    """Take a number for a number, as TOML would; everything else is text."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
