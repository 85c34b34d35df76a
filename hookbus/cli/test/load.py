"""The plugin in a Python file, as running the file would serve it, without serving it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from hookbus.cli.errors import UsageError
from hookbus.cli.test.frames import own_frames
from hookbus.cli.up.plugin_files import find_plugins
from hookbus.plugin import Plugin
from hookbus.plugin.declare import OnlyLoaded, loading

_MODULE: Final = "hookbus_tested_plugin"


def load_plugin(path: Path) -> Plugin:
    """Execute the file at *path*, or the ``plugin.py`` in it, and return its plugin.

    Raises:
        UsageError: There is no such file, it is no Python, it raises, or it has no plugin, or
            several of which it runs none.
    """
    script = _script(path)
    try:
        served, module = _execute(script)
    except SyntaxError as e:
        raise UsageError(f"{e.filename}:{e.lineno}: expected Python: {e.msg}") from e
    except Exception as e:
        raise UsageError(f"{script} cannot be executed:\n{own_frames(e)}") from e
    except SystemExit as e:
        raise UsageError(
            f"{script} ends the process while it is loaded: SystemExit({e.code!r})"
        ) from e
    if served is not None:
        return served
    plugins = {id(value): value for value in vars(module).values() if isinstance(value, Plugin)}
    found = list(plugins.values())
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"{script}: expected a plugin such as plugin = Plugin('name', version='1.0.0') at the "
            "top of the module, found none"
        )
    names = ", ".join(plugin.name for plugin in found)
    raise UsageError(f"{script}: expected one plugin, found {names}: put each in a file of its own")


def _script(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"{str(path)!r}: there is no such file")
    if path.is_file() and path.suffix != ".py":
        raise UsageError(
            f"{str(path)!r}: expected a Python file. A plugin in another language is tested over "
            "the bus: run 'hookbus up', start it, then 'hookbus conformance plugin NAME'"
        )
    scripts = find_plugins(path)
    if len(scripts) != 1:
        found = ", ".join(map(str, scripts))
        raise UsageError(f"{str(path)!r}: expected one plugin, found {found}")
    return scripts[0]


def _execute(script: Path) -> tuple[Plugin | None, ModuleType]:
    """Execute *script* until its end or its ``plugin.run()``; return whom that would serve."""
    spec = importlib.util.spec_from_file_location(_MODULE, script)
    if spec is None or spec.loader is None:
        raise UsageError(f"{str(script)!r}: cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # annotations are looked up there
    sys.path.insert(0, str(script.resolve().parent))  # as when it is run
    token = loading.set(True)
    try:
        spec.loader.exec_module(module)
    except OnlyLoaded as e:
        return e.plugin, module
    finally:
        loading.reset(token)
    return None, module
