"""Whether a plugin would be asked about an event now, hook by hook, and if not why. Pure.

The steps are the dispatcher's, with its own code wherever that is pure; only what it knows of
itself (breakers) and who is there (replicas) is told by others.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.catalog import Catalog, TypeSettings
from hookbus.cli.role_stats import DispatcherStats
from hookbus.conditions import references
from hookbus.dispatch.chain import too_deep
from hookbus.dispatch.matching import match, scope_of
from hookbus.errors import InvalidEvent
from hookbus.snapshot import Binding
from hookbus.wire.event import Inbound, decode_event

NO_DATA: Final = msgspec.UNSET

_MODES: Final = {
    "enforce": "its verdict counts",
    "warn": "in mode warn: its verdict becomes a warning and decides nothing",
    "shadow": "in mode shadow: nobody waits for its verdict, which decides nothing",
}


@dataclass(frozen=True, slots=True)
class View:
    """The bus as it is: the registry's answers to ``list`` and ``settings``, the dispatchers'."""

    listed: dict[str, Any]
    settings: dict[str, Any]
    dispatchers: tuple[DispatcherStats, ...]

    def plugin(self, name: str) -> dict[str, Any] | None:
        """What the registry says of one plugin."""
        return next((p for p in self.listed["plugins"] if p["plugin"] == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An event that could come, and the plugin in question.

    Attributes:
        data: the payload, or ``NO_DATA`` if it is not known.
        chain: plugins whose handlers led to it, oldest first.
        hook: only this one of the plugin's.
    """

    plugin: str
    type: str
    data: Any = NO_DATA
    principal: str = subjects.ANONYMOUS
    source: str = "/cli"
    subject: str | None = None
    chain: tuple[str, ...] = ()
    hook: str | None = None


class HookAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One hook: *asked* is None if that depends on the data, which is not known.

    Attributes:
        code: ``asked``, or one word why not.
        values: what a condition that is not true found, by path; None is not there.
        notes: what else there is to know, each one line.
    """

    hook: str
    asked: bool | None
    code: str
    why: str
    condition: str | None = None
    values: dict[str, Any] = {}
    notes: list[str] = []


class PluginAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All hooks; with *code* no hook is asked, whatever it is."""

    plugin: str
    type: str
    asked: bool | None
    generation: int
    code: str | None = None
    why: str | None = None
    hooks: list[HookAnswer] = []
    notes: list[str] = []


class UnknownHook(Exception):
    """The plugin has no hook of that name."""


def explain(view: View, question: Question) -> PluginAnswer:
    """Answer for the plugin.

    Raises:
        UnknownHook: The question is about a hook that the plugin has not.
    """
    found = view.plugin(question.plugin)
    try:
        code, why = _not_bound(view, question.plugin, found) or ("", "")
        inbound = None if code else _inbound(view, question)
    except InvalidEvent as e:
        code, why, inbound = e.code, f"the event is refused, and nobody is asked: {e}", None
    if not code and inbound is not None:
        code, why = _nobody_asked(view, inbound) or ("", "")
    if code or inbound is None or found is None:
        return _answer(view, question, asked=False, code=code, why=why)
    hooks = _wanted(found, question.hook)
    answers = [_hook(view, question, inbound, found, hook) for hook in hooks]
    asked = [answer.asked for answer in answers]
    total = True if True in asked else None if None in asked else False
    notes = [f"a replica is refused: {found['problem']}"] if found["problem"] else []
    return _answer(view, question, asked=total, hooks=answers, notes=notes)


def _answer(view: View, question: Question, **members: Any) -> PluginAnswer:
    return PluginAnswer(
        plugin=question.plugin,
        type=question.type,
        generation=view.listed["generation"],
        **members,
    )


def _not_bound(view: View, name: str, found: dict[str, Any] | None) -> tuple[str, str] | None:
    if found is not None and found["state"] == "bound":
        return None
    if name in view.settings["overrides"]["removed"]:
        why = (found or {}).get("problem")
        return "removed", why or f"it is removed; 'hookbus plugins approve {name}' binds it again"
    if found is None:
        known = ", ".join(p["plugin"] for p in view.listed["plugins"]) or "none"
        return "unknown", (
            f"it has not announced itself, and no settings name it; known are: {known}."
            " Start it with this bus's HOOKBUS_NATS_URL"
        )
    return found["state"], found["problem"] or "nothing in the settings binds it"


def _inbound(view: View, question: Question) -> Inbound:
    """Let the event in as a dispatcher does; an unknown payload is null.

    Raises:
        InvalidEvent: It would be refused.
    """
    is_known = question.data is not NO_DATA
    said = {
        "specversion": "1.0",
        "id": "explain",
        "source": question.source,
        "type": question.type,
        "subject": question.subject,
        "hbchain": ",".join(question.chain) or None,
        "data": question.data if is_known else None,
    }
    members = {k: v for k, v in said.items() if v is not None or k == "data"}
    inbound = decode_event(msgspec.json.encode(members), None, question.principal, question.type)
    known = catalog_of(view.settings).get(question.type)
    if is_known:
        known.check(question.data)
    return inbound


def catalog_of(settings: dict[str, Any]) -> Catalog:
    """Compile the types that the registry's answer to ``settings`` names."""
    types: dict[str, TypeSettings] = {}
    for row in settings["settings"]:
        match path_of(row["key"]):
            case ["types", name, "schema"]:
                types[name] = TypeSettings(schema=row["value"])
            case ["types", name, *_]:
                types.setdefault(name, TypeSettings())
    return Catalog(types)


def path_of(key: str) -> list[str]:
    """``'types."chat.sent".conflict' → ["types", "chat.sent", "conflict"]``, TOML's own keys."""
    path, inside = [], tomllib.loads(f"{key} = 0")
    while isinstance(inside, dict):
        [(name, inside)] = inside.items()
        path.append(name)
    return path


def value_of(settings: dict[str, Any], key: str, default: Any) -> Any:
    """The value of one setting in the registry's answer."""
    return next((r["value"] for r in settings["settings"] if r["key"] == key), default)


def _nobody_asked(view: View, inbound: Inbound) -> tuple[str, str] | None:
    """What keeps the dispatcher from asking anybody about this event."""
    if not view.settings.get("applied", True):
        return "waiting", "no settings are in force yet; next: 'hookbus settings apply FILE'"
    if not view.dispatchers:
        return "no_dispatcher", "no dispatcher answers; start one: 'hookbus serve dispatcher'"
    names = [p["plugin"] for p in view.listed["plugins"] if p["state"] == "bound"]
    chain = inbound.chain
    if inbound.principal in names and chain[-1:] != (inbound.principal,):
        chain = (*chain, inbound.principal)
    inbound = msgspec.structs.replace(inbound, chain=chain)
    if loop := too_deep(inbound, value_of(view.settings, "max_depth", 5)):
        return "loop", f"the event is blocked as a loop, and nobody is asked: {loop.reason}"
    hooks = [hook for plugin in view.listed["plugins"] for hook in plugin["hooks"]]
    size = sum(
        hook["mode"] != "off"
        and hook["phase"] != "observe"
        and subjects.type_matches(hook["type"], inbound.event.type)
        for hook in hooks
    )
    if size > (most := value_of(view.settings, "max_plugins", 64)):
        return "too_many_plugins", (
            f"the event is blocked: {size} hooks match, at most {most} may (max_plugins)"
        )
    return None


def _wanted(found: dict[str, Any], name: str | None) -> list[dict[str, Any]]:
    hooks: list[dict[str, Any]] = found["hooks"]
    wanted = [hook for hook in hooks if name in (None, hook["name"])]
    if not wanted:
        known = ", ".join(hook["name"] for hook in hooks)
        raise UnknownHook(f"plugin {found['plugin']!r} has no hook {name!r}; it has: {known}")
    return wanted


def binding_of(plugin: str, hook: dict[str, Any]) -> Binding:
    """The binding that a listed hook shows."""
    return msgspec.convert({**hook, "plugin": plugin, "hook": hook["name"]}, Binding)


def _hook(
    view: View, question: Question, inbound: Inbound, found: dict[str, Any], hook: dict[str, Any]
) -> HookAnswer:
    binding = binding_of(question.plugin, hook)

    def answer(asked: bool | None, code: str, why: str, **more: Any) -> HookAnswer:
        return HookAnswer(hook=binding.hook, asked=asked, code=code, why=why, **more)

    if binding.mode == "off":
        origin = hook["origins"].get("mode", "default")
        return answer(False, "mode_off", f"its mode is off (from: {origin})")
    if not subjects.type_matches(binding.type, question.type):
        return answer(False, "type", f"it asks for {binding.type}, not {question.type}")
    if binding.phase != "observe" and (unmet := _unmet(binding, question, inbound)):
        return answer(*unmet[:3], **unmet[3])
    if not found["replicas"]:
        return answer(False, "no_replica", _unanswered(binding))
    if not hook.get("announced", True):
        return answer(False, "not_served", _unserved(binding, found))
    resting = _resting(view.dispatchers, f"{binding.plugin}/{binding.mode}")
    if resting and len(resting) == len(view.dispatchers) and binding.phase != "observe":
        return answer(False, "breaker_open", f"its breaker is open: {'; '.join(resting)}")
    notes = [f"not by all: its breaker is open on {rest}" for rest in resting]
    notes += _notes(view, question, binding)
    return answer(True, "asked", _asked(binding), notes=notes)


def _unmet(
    binding: Binding, question: Question, inbound: Inbound
) -> tuple[bool | None, str, str, dict[str, Any]] | None:
    """What the event itself says against asking: its emitter, or a condition."""
    unknown = [c.source for c in binding.conditions if _needs_data(c.source)]
    if question.data is NO_DATA and unknown and inbound.principal != binding.plugin:
        why = "that depends on the payload: give one with --data"
        return None, "data_unknown", why, {"condition": unknown[0]}
    scope = scope_of(inbound, inbound.event.data)
    matched = match(binding, inbound, scope)
    if matched is None:
        return None
    if isinstance(matched, dict) and matched["kind"] == "self":
        return False, "self", "it emits the event itself", {}
    if isinstance(matched, dict):
        condition = matched["condition"]
        values = values_of(condition, inbound)
        why = f"its condition is false: {condition}"
        return False, "condition_false", why, {"condition": condition, "values": values}
    broken = next(c.source for c in binding.conditions if not isinstance(c.holds(scope), bool))
    effect = "the event is blocked" if binding.is_closed else "it fails open"
    why = f"{effect}, because a condition cannot be evaluated: {matched.reason}"
    more = {"condition": broken, "values": values_of(broken, inbound)}
    return False, "match_error", why, more


def _needs_data(condition: str) -> bool:
    return any(path[0] == "data" for path in references(condition))


def values_of(condition: str, inbound: Inbound) -> dict[str, Any]:
    """What the parts of a condition stand for: ``{"data.name": "bash"}``; None is not there."""
    scope = {"event": {**msgspec.to_builtins(inbound.event), "principal": inbound.principal}}
    scope["event"]["dry_run"] = inbound.dry_run
    scope["data"] = inbound.event.data
    paths = dict.fromkeys(path for path in references(condition) if len(path) > 1)
    return {".".join(path): _at(scope, path) for path in paths}


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _unanswered(binding: Binding) -> str:
    start = f"start it, or run 'hookbus plugins remove {binding.plugin}'"
    if binding.phase == "observe":
        return f"no replica is up; its events wait in the stream: {start}"
    effect = "so such an event is blocked" if binding.is_closed else "so it fails open"
    if binding.mode != "enforce":
        effect = "which decides nothing in its mode"
    return f"no replica is up, {effect}: {start}"


def _unserved(binding: Binding, found: dict[str, Any]) -> str:
    version = found["version"] or "?"
    return (
        f"{binding.plugin} {version} is up and did not announce this hook, so nothing listens and"
        " such an event fails: start a version that serves it, or take it out of the settings"
    )


def _resting(dispatchers: Iterable[DispatcherStats], key: str) -> list[str]:
    """Say on which dispatchers a breaker is open, and for how long."""
    return [
        f"{d.name}, for {d.breakers_open_ms.get(key, 0) / 1000:.1f} s more"
        for d in dispatchers
        if d.breakers.get(key) == "open" and d.breakers_open_ms.get(key, 1) > 0
    ]


def _asked(binding: Binding) -> str:
    if binding.phase == "observe":
        return "told after the decision, which it cannot change"
    return f"asked in the phase {binding.phase}; {_MODES[binding.mode]}"


def _notes(view: View, question: Question, binding: Binding) -> list[str]:
    notes = []
    others = [
        plugin["plugin"]
        for plugin in view.listed["plugins"]
        for hook in plugin["hooks"]
        if hook["phase"] == "mutate" and hook["mode"] == "enforce"
        if plugin["plugin"] != binding.plugin
        if subjects.type_matches(hook["type"], question.type)
    ]
    if others and binding.when:
        names = ", ".join(dict.fromkeys(others))
        notes.append(f"its conditions see the payload as it is then; it may be changed by {names}")
    if binding.cache_ttl_ms:
        notes.append("a verdict that it gave before may be used instead (cache_ttl_ms)")
    behind = [d.name for d in view.dispatchers if d.generation < view.listed["generation"]]
    if behind:
        notes.append(f"an older generation is used by {', '.join(behind)}")
    return notes
