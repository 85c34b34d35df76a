"""What audit-log does with events and with its configuration."""

from __future__ import annotations

import json
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from hookbus import HookEvent

HERE = Path(__file__).parent.parent


def load() -> ModuleType:
    """Import plugin.py under a name of its own: every plugin has a file of that name."""
    spec = spec_from_file_location("audit_log_plugin", HERE / "plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_manifest_says_what_the_code_declares() -> None:
    manifest = tomllib.loads((HERE / "plugin.toml").read_text(encoding="utf-8"))
    plugin = load().plugin

    declared = [
        {"name": name, **hook.options.model_dump(mode="json", exclude_unset=True)}
        for name, hook in plugin.hooks.items()
    ]

    assert (manifest["name"], manifest["version"]) == (plugin.name, plugin.version)
    assert manifest["hooks"] == declared


EVENT: HookEvent[object] = HookEvent(id="1", source="/test", type="user_left", data={"n": 1})


def test_an_event_is_written_to_the_configured_file_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    module = load()
    module.plugin.configure({"path": str(path), "include_data": True})

    module.every_event(EVENT)
    module.every_event(EVENT)

    module.active.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["data"] for line in lines] == [{"n": 1}]


def test_a_file_that_cannot_be_opened_raises_so_that_the_event_comes_again(tmp_path: Path) -> None:
    module = load()
    module.plugin.configure({"path": str(tmp_path / "missing" / "audit.jsonl")})

    with pytest.raises(FileNotFoundError):
        module.every_event(EVENT)


def test_a_new_configuration_is_used_from_the_next_event_on(tmp_path: Path) -> None:
    module = load()
    module.plugin.configure({"path": str(tmp_path / "a")})
    module.every_event(EVENT)

    module.plugin.configure({"path": str(tmp_path / "b")})
    module.every_event(EVENT)

    module.active.close()
    assert (tmp_path / "b").read_bytes().count(b"\n") == 1


def test_a_wrong_configuration_keeps_the_last_good_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = load()
    module.plugin.configure({"path": str(tmp_path / "a")})

    module.plugin.configure({"path": 1})
    module.every_event(EVENT)

    module.active.close()
    assert (tmp_path / "a").exists()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
