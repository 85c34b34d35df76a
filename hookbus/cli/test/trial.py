"""One event, and one plugin on a bus in memory: what its hooks for that event come to."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from hookbus.catalog import BUILT_IN
from hookbus.cli.errors import UsageError
from hookbus.config.load import read_settings
from hookbus.config.settings import to_tree
from hookbus.emitter import Emitter
from hookbus.manifest.hook import MAX_TIMEOUT_MS
from hookbus.models import Decision
from hookbus.plugin import Hook, Plugin, PluginServer
from hookbus.subjects import type_matches
from hookbus.testing.backends import MemoryBackend
from hookbus.testing.bus import Bus
from hookbus.testing.call import PluginFailed, call_plugin

SOURCE: Final = "/cli"
GRACE: Final = 1.0  # seconds beyond its timeouts until a plugin is stopped that holds the loop


class Blocking(BaseException):
    """A handler held the event loop beyond its time; it is raised in the midst of it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be tried.

    Attributes:
        hooks: those that are asked, by name; all others are off.
        settings: a settings file, of which types and this plugin's section count.
    """

    plugin: Plugin
    type: str
    data: Any
    hooks: Mapping[str, Hook]
    config: Mapping[str, Any] | None = None
    settings: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        observed: observe hooks by name, and why one failed; None is well.
        notes: what the reader should know.
        is_stuck: a handler's thread still runs.
    """

    decision: Decision
    observed: dict[str, str | None]
    notes: list[str] = field(default_factory=list)
    is_stuck: bool = False


def choose_hooks(plugin: Plugin, event_type: str, name: str | None) -> dict[str, Hook]:
    """Find the hooks that a bus would ask about *event_type*, or the one of them that is named.

    Raises:
        UsageError: There is none; names those there are.
    """
    asking = {
        hook_name: hook
        for hook_name, hook in plugin.hooks.items()
        if type_matches(hook.options.type, event_type) and name in (None, hook_name)
    }
    if asking:
        return asking
    known = ", ".join(f"{n} (on {h.options.type})" for n, h in plugin.hooks.items()) or "none"
    what = f"no hook on {event_type!r}" + (f" named {name!r}" if name is not None else "")
    raise UsageError(f"plugin {plugin.name!r} has {what}; its hooks are: {known}")


async def try_plugin(wanted: Wanted) -> Outcome:
    """Emit the event on a bus where nobody else is; show it to the observe hooks afterwards.

    Raises:
        InvalidEvent: The event does not fit its type.
        UsageError, SettingsError: The plugin, or what was said of it, cannot be bound.
    """
    notes: list[str] = []
    tree = _tree(wanted, notes)
    async with Bus(MemoryBackend()) as bus:
        await bus.start_registry(**tree)
        await bus.start_dispatcher()
        await bus.ready()
        server = await bus.serve(wanted.plugin)
        _demand_bound(wanted.plugin, server)
        emitter = Emitter(bus.transport, source=SOURCE, timeout=None)
        with _not_held(_seconds(wanted.hooks.values())):
            decision = await emitter.emit(wanted.type, wanted.data)
        with _not_held(_seconds(wanted.hooks.values())):
            observed = await _observe(wanted, decision)
        return Outcome(decision, observed, notes, server.stuck_threads > 0)


def _tree(wanted: Wanted, notes: list[str]) -> dict[str, Any]:
    """The settings: of the file what concerns this plugin; its verdicts count, and time is ample.

    A hook is enforced and closed whatever it asks for: what it answers, and that it fails, must
    be seen.
    """
    said: dict[str, Any] = {}
    if wanted.settings is not None:
        said = to_tree(read_settings(wanted.settings, {}).settings)
    types = dict(said.pop("types", {}))
    if wanted.type not in BUILT_IN and wanted.type not in types:
        types[wanted.type] = {}
        notes.append(
            f"{wanted.type!r} is no type that the bus knows by itself: no schema was checked; "
            "--settings FILE with [types] gives one"
        )
    own = dict(said.pop("plugins", {}).get(wanted.plugin.name, {}))
    hooks = dict(own.get("hooks", {}))
    for name, hook in wanted.plugin.hooks.items():
        is_asked = name in wanted.hooks and hook.options.phase != "observe"
        forced = {"mode": "enforce", "on_failure": "closed"} if is_asked else {"mode": "off"}
        hooks[name] = {**hooks.get(name, {}), **forced}
    own["hooks"] = hooks
    if wanted.config is not None:
        own["config"] = dict(wanted.config)
    return {
        **{key: value for key, value in said.items() if key != "mode"},
        "timeout_ms": MAX_TIMEOUT_MS,
        "max_timeout_ms": MAX_TIMEOUT_MS,
        "types": types,
        "plugins": {wanted.plugin.name: own},
    }


def _demand_bound(plugin: Plugin, server: PluginServer) -> None:
    answered = server.answered
    if answered is None or answered.state == "bound":
        return
    # the settings are ours: what they are said to contain stands in the code
    places = [p.get("at", "").removeprefix(f"plugins.{plugin.name}.") for p in answered.problems]
    messages = [p.get("message", "") for p in answered.problems]
    problems = "; ".join(f"{at}: {said}" for at, said in zip(places, messages, strict=True))
    raise UsageError(f"plugin {plugin.name!r} is {answered.state}: {problems}")


async def _observe(wanted: Wanted, decision: Decision) -> dict[str, str | None]:
    """Show the final event to the observe hooks, as the stream does unless it is blocked."""
    data = wanted.data if decision.is_blocked else decision.data
    observed: dict[str, str | None] = {}
    for name, hook in wanted.hooks.items():
        if hook.options.phase != "observe":
            continue
        observed[name] = None
        try:
            await call_plugin(wanted.plugin, name, data, type=wanted.type)
        except PluginFailed as e:
            observed[name] = f"{e.failure}: {e.reason}"
    return observed


def _seconds(hooks: Iterable[Hook]) -> float:
    return sum(hook.options.timeout_ms for hook in hooks) / 1000 + GRACE


@contextmanager
def _not_held(seconds: float) -> Iterator[None]:
    """Stop a handler that never gives the event loop back: no timeout of the loop's own can."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Blocking(
            "the handler held the event loop beyond its timeout: await what it waits for, or "
            "declare it with a plain def, which runs in a thread"
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
