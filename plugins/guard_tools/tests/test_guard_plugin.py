"""What guard-tools answers, and what it does with its configuration."""

from __future__ import annotations

import asyncio
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from hookbus import Block, HookEvent, ToolInvoked

HERE = Path(__file__).parent.parent


def load() -> ModuleType:
    """Import plugin.py under a name of its own: every plugin has a file of that name."""
    spec = spec_from_file_location("guard_tools_plugin", HERE / "plugin.py")
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


def call(command: str) -> HookEvent[ToolInvoked]:
    data = ToolInvoked(name="bash", args={"command": command})
    return HookEvent(id="1", source="/test", type="tool_invoked", data=data)


def test_a_dangerous_call_is_blocked_and_its_message_quotes_nothing() -> None:
    verdict = asyncio.run(load().guard(call("rm -rf /")))

    assert verdict == Block(
        "args.command: remove_all: rm -r /",
        code="dangerous_command",
        message="This command was stopped because it could do serious damage.",
    )


def test_a_benign_call_passes() -> None:
    assert asyncio.run(load().guard(call("ls"))) is None


def test_every_code_has_a_message() -> None:
    codes = {"dangerous_command", "forbidden_path", "forbidden_host", "unparsable"}

    assert load().MESSAGES.keys() == codes


def test_a_wrong_configuration_keeps_the_last_good_one(caplog: pytest.LogCaptureFixture) -> None:
    module = load()
    module.plugin.configure({"deny_commands": ["make"]})

    module.plugin.configure({"deny_commands": "nothing"})

    assert asyncio.run(module.guard(call("make all"))) is not None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
