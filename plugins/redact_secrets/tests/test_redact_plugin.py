"""What redact-secrets answers, and what it does with its configuration."""

from __future__ import annotations

import asyncio
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from hookbus import HookEvent, Intercept, MessageReceived, ToolInvoked

HERE = Path(__file__).parent.parent


def load() -> ModuleType:
    """Import plugin.py under a name of its own: every plugin has a file of that name."""
    spec = spec_from_file_location("redact_secrets_plugin", HERE / "plugin.py")
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


def message(text: str) -> HookEvent[MessageReceived]:
    data = MessageReceived(text=text)
    return HookEvent(id="1", source="/test", type="message_received", data=data)


def test_a_message_with_a_secret_is_changed_and_the_kinds_are_recorded() -> None:
    verdict = asyncio.run(load().redact_message(message("a@example.com, b@example.com")))

    assert verdict == Intercept(
        patch=[{"op": "replace", "path": "/text", "value": "[redacted:email], [redacted:email]"}],
        annotations={"redacted.email": "2"},
    )


def test_a_message_without_a_secret_is_left_alone() -> None:
    assert asyncio.run(load().redact_message(message("hello"))) is None


def test_the_arguments_of_a_tool_are_changed_where_they_stand() -> None:
    data = ToolInvoked(name="mail", args={"to": ["a@example.com"]})
    event = HookEvent(id="1", source="/test", type="tool_invoked", data=data)

    verdict = asyncio.run(load().redact_arguments(event))

    assert verdict.patch == [{"op": "replace", "path": "/args/to/0", "value": "[redacted:email]"}]


def test_a_wrong_configuration_keeps_the_last_good_one(caplog: pytest.LogCaptureFixture) -> None:
    module = load()
    module.plugin.configure({"kinds": ["card"]})

    module.plugin.configure({"kinds": "email"})

    assert asyncio.run(module.redact_message(message("a@example.com"))) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_without_a_good_configuration_every_kind_is_redacted() -> None:
    module = load()

    module.plugin.configure({"kinds": ["everything"]})

    assert asyncio.run(module.redact_message(message("a@example.com"))) is not None
