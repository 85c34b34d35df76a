"""`call_plugin`: a handler asked in a test as the bus would ask it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from hookbus import (
    Block,
    Continue,
    HookEvent,
    Intercept,
    MessageReceived,
    Plugin,
    ToolInvoked,
    Verdict,
)
from hookbus.testing import PluginFailed, call_plugin, run_virtual


def answering(verdict: object, phase: Any = "mutate") -> Plugin:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase=phase)
    async def answer(event: HookEvent[MessageReceived]) -> Any:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    return plugin


def ask(plugin: Plugin, hook_or_type: str = "message_received", data: Any = None, **kw: Any) -> Any:
    return run_virtual(call_plugin(plugin, hook_or_type, data or {"text": "hi"}, **kw))


def test_a_block_comes_back_as_it_was_said() -> None:
    block = Block("no", code="c", message="Sorry.", warnings=("w",), annotations={"k": "v"})

    assert ask(answering(block)) == block


def test_a_block_without_a_reason_gets_the_one_the_bus_would_give_it() -> None:
    assert ask(answering(Block())) == Block("blocked without explanation")


@pytest.mark.parametrize("verdict", [None, Continue()])
def test_no_objection_is_a_continue(verdict: object) -> None:
    assert ask(answering(verdict)) == Continue()


def test_a_changed_model_comes_back_as_json_values() -> None:
    verdict = ask(answering(Intercept(data=MessageReceived(text="new"))))

    assert verdict == Intercept(data={"text": "new"})


def test_a_patch_that_applies_comes_back() -> None:
    patch = [{"op": "replace", "path": "/text", "value": "new"}]

    assert ask(answering(Intercept(patch=patch))) == Intercept(patch=patch)


def test_a_patch_that_does_not_apply_is_a_bad_patch() -> None:
    patch = [{"op": "remove", "path": "/missing"}]

    with pytest.raises(PluginFailed, match="plugin 'a': bad_patch: ") as failed:
        ask(answering(Intercept(patch=patch)))

    assert failed.value.failure == "bad_patch"


def test_a_validate_hook_that_changes_something_violates_its_phase() -> None:
    with pytest.raises(PluginFailed) as failed:
        ask(answering(Intercept(merge={"x": 1}), phase="validate"))

    assert failed.value.failure == "phase_violation"


def test_an_exception_is_a_service_error_without_its_text() -> None:
    with pytest.raises(PluginFailed) as failed:
        ask(answering(RuntimeError("hunter2")))

    assert failed.value.failure == "service_error"
    assert "hunter2" not in str(failed.value)


def test_nonsense_is_a_service_error() -> None:
    with pytest.raises(PluginFailed, match="returned int") as failed:
        ask(answering(5))

    assert failed.value.failure == "service_error"


def test_a_reply_above_the_hooks_limit_is_too_large() -> None:
    with pytest.raises(PluginFailed) as failed:
        ask(answering(Intercept(data={"text": "x" * 300_000})))

    assert failed.value.failure == "reply_too_large"


def test_a_handler_that_sleeps_beyond_its_timeout_fails_without_waiting() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=30_000)
    async def sleep(event: HookEvent[Any]) -> None:
        await asyncio.sleep(3_600)

    with pytest.raises(PluginFailed, match="within 30000 ms") as failed:
        ask(plugin)

    assert failed.value.failure == "timeout"


def test_a_plain_function_is_called_in_a_thread() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate")
    def calm(event: HookEvent[MessageReceived]) -> Verdict | None:
        return Block("shouting") if event.data.text.isupper() else None

    assert ask(plugin, data={"text": "HI"}) == Block("shouting")
    assert ask(plugin, data={"text": "hi"}) == Continue()


def test_attributes_of_the_event_reach_the_handler() -> None:
    seen: list[HookEvent[Any]] = []
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook(">", phase="validate", name="all")
    async def look(event: HookEvent[Any]) -> None:
        seen.append(event)

    ask(plugin, "order_placed", {"n": 1}, id="7", source="/shop", hbdryrun=True, extra="x")

    [event] = seen
    assert (event.id, event.source, event.type) == ("7", "/shop", "order_placed")
    assert (event.dry_run, event.extensions, event.data) == (True, {"extra": "x"}, {"n": 1})


def test_a_hook_is_found_by_its_name() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", name="one")
    async def one(event: HookEvent[Any]) -> Verdict:
        return Block("one")

    @plugin.hook("message_received", phase="validate", name="two")
    async def two(event: HookEvent[Any]) -> Verdict:
        return Block("two")

    assert ask(plugin, "two") == Block("two")
    with pytest.raises(LookupError, match="name one of one, two"):
        ask(plugin, "message_received")


def test_a_named_hook_on_a_pattern_needs_the_type() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook(">", phase="validate", name="all")
    async def all_(event: HookEvent[Any]) -> Verdict:
        return Block(event.type)

    assert ask(plugin, "all", type="tool_invoked") == Block("tool_invoked")
    with pytest.raises(LookupError, match="type="):
        ask(plugin, "all")


def test_a_hook_that_is_not_there_is_an_error_that_lists_what_is() -> None:
    with pytest.raises(LookupError, match="its hooks are: message-received"):
        ask(answering(None), "tool_invoked")


def test_the_configuration_is_the_plugins() -> None:
    plugin = answering(None)

    ask(plugin, config={"limit": 3})

    assert plugin.config == {"limit": 3}


def test_data_that_does_not_fit_the_model_is_a_service_error() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("tool_invoked", phase="validate")
    async def guard(event: HookEvent[ToolInvoked]) -> None: ...

    with pytest.raises(PluginFailed, match="does not fit ToolInvoked at 'args'"):
        ask(plugin, "tool_invoked", {"name": "x", "args": "none"})


def test_an_observer_that_is_content_is_a_continue() -> None:
    seen: list[str] = []
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="observe")
    async def watch(event: HookEvent[MessageReceived]) -> None:
        seen.append(f"{event.principal}: {event.data.text}")

    assert ask(plugin) == Continue()
    assert seen == ["test: hi"]


def test_an_observer_that_raises_failed() -> None:
    plugin = answering(RuntimeError("no"), phase="observe")

    with pytest.raises(PluginFailed) as failed:
        ask(plugin)

    assert failed.value.failure == "service_error"


def test_a_handler_that_answers_although_it_was_stopped_leaves_its_caller_alone() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=100)
    async def stubborn(event: HookEvent[Any]) -> Verdict:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
        return Block("all the same")

    async def scenario() -> None:
        task = asyncio.current_task()
        assert task is not None

        assert await call_plugin(plugin, "message_received", {"text": "hi"}) == Block(
            "all the same"
        )

        assert task.cancelling() == 0

    run_virtual(scenario())


def test_the_timeout_of_a_handlers_caller_is_the_callers() -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=1_000)
    async def slow(event: HookEvent[Any]) -> None:
        await asyncio.sleep(2)

    async def scenario() -> None:
        with pytest.raises(TimeoutError):  # and no PluginFailed: the handler's time is not over
            async with asyncio.timeout(0.5):
                await call_plugin(plugin, "message_received", {"text": "hi"})

    run_virtual(scenario())
