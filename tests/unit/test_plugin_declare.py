"""Declaring a plugin: what is wrong is said where it is written."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hookbus import Block, HookEvent, InvalidManifest, MessageReceived, Plugin, Verdict


@pytest.mark.parametrize("name", [None, 5, "", "Redact", "redact_secrets", "1a", "a" * 64, "a b"])
def test_a_plugin_needs_a_name_that_fits_into_a_subject(name: Any) -> None:
    with pytest.raises(InvalidManifest, match="name: expected"):
        Plugin(name, version="1.0.0")


@pytest.mark.parametrize(
    "name",
    [
        "anonymous",
        "hookbus-registry",
        "hookbus-dispatcher",
        "hookbus-runner",
        "registry",
        "dispatcher",
    ],
)
def test_a_plugin_may_not_bear_a_name_of_the_bus(name: str) -> None:
    with pytest.raises(InvalidManifest, match=f"'{name}' is a name of the bus itself"):
        Plugin(name, version="1.0.0")


@pytest.mark.parametrize("version", [None, 1, "", "1", "v1.0.0", "1.0"])
def test_a_plugin_needs_a_semver_version(version: Any) -> None:
    with pytest.raises(InvalidManifest, match="SemVer"):
        Plugin("a", version=version)


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"type": "No Type", "phase": "validate"}, "type"),
        ({"type": "x_done", "phase": "later"}, "phase"),
        ({"type": "x_done", "phase": "validate", "timeout_ms": 0}, "timeout_ms"),
        ({"type": "x_done", "phase": "validate", "timeout_ms": 30_001}, "timeout_ms"),
        ({"type": "x_done", "phase": "validate", "priority": 1_001}, "priority"),
        ({"type": "x_done", "phase": "validate", "name": "No Name"}, "name"),
        ({"type": ">", "phase": "validate"}, "name"),
        ({"type": "x_done", "phase": "observe", "on_failure": "open"}, "on_failure"),
    ],
)
def test_a_wrong_option_is_an_error_at_once_that_names_it(options: dict[str, Any], at: str) -> None:
    plugin = Plugin("a", version="1.0.0")

    with pytest.raises(InvalidManifest, match="plugin 'a', hook on ") as wrong:
        plugin.hook(**options)

    assert [problem.at for problem in wrong.value.problems] == [at]


def test_two_hooks_of_one_name_are_an_error() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("x_done", phase="validate")
    async def first(event: HookEvent[Any]) -> None: ...

    with pytest.raises(InvalidManifest, match="a name of its own"):
        plugin.hook("x.done", phase="validate", name="x-done")


def test_a_hook_is_named_after_its_type() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("chat.message_received", phase="validate")
    async def hook(event: HookEvent[Any]) -> None: ...

    assert list(plugin.hooks) == ["chat-message-received"]


def test_what_was_not_said_is_left_to_the_bus() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("x_done", phase="validate", timeout_ms=5)
    async def hook(event: HookEvent[Any]) -> None: ...

    assert plugin.hooks["x-done"].options.explicit() == {
        "type": "x_done",
        "phase": "validate",
        "timeout_ms": 5,
        "name": "x-done",
    }


def test_the_model_of_a_handlers_annotation_is_found() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate")
    async def typed(event: HookEvent[MessageReceived]) -> Verdict | None: ...

    @plugin.hook("message_received", phase="validate", name="plain")
    def plain(event: HookEvent[Any]) -> Verdict | None: ...

    hooks = plugin.hooks
    assert hooks["message-received"].payload is MessageReceived
    assert hooks["message-received"].is_async
    assert hooks["plain"].payload is None
    assert not hooks["plain"].is_async


def test_a_handler_is_handed_back_as_it_was() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("x_done", phase="validate")
    def handler(event: HookEvent[Any]) -> Verdict:
        return Block("called directly")

    assert handler(HookEvent(id="1", source="/", type="x_done", data=None)) == Block(
        "called directly"
    )


def test_a_handler_takes_exactly_the_event() -> None:
    plugin = Plugin("a", version="1.0.0")

    with pytest.raises(TypeError, match="expected one parameter, the event, got"):

        @plugin.hook("x_done", phase="validate")
        async def handler(event: HookEvent[Any], more: int) -> None: ...


def test_a_model_that_cannot_be_found_is_an_error_that_says_where_to_put_it() -> None:
    plugin = Plugin("a", version="1.0.0")

    with pytest.raises(TypeError, match="top of the module"):

        @plugin.hook("x_done", phase="validate")
        async def handler(event: HookEvent[Nowhere]) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def test_a_plugin_without_hooks_does_not_run() -> None:
    with pytest.raises(SystemExit, match="no hooks"):
        Plugin("a", version="1.0.0").run()


def test_new_values_reach_every_callback_even_when_one_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    plugin = Plugin("a", version="1.0.0")
    heard: list[dict[str, Any]] = []

    @plugin.on_config
    def broken(config: dict[str, Any]) -> None:
        raise RuntimeError("no")

    plugin.on_config(heard.append)
    plugin.configure({"limit": 3})
    plugin.configure({"limit": 3})

    assert heard == [{"limit": 3}]
    assert plugin.config == {"limit": 3}
    assert "config_callback_failed plugin=a" in caplog.text
