"""The plugins: who is not asked, who does not answer, and what operators overrode. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import datetime
from typing import Any, Final

from hookbus import subjects
from hookbus.cli.doctor.finding import Finding, ok, problem
from hookbus.cli.doctor.view import BusView
from hookbus.cli.overrides import lines, overrides_in_force, unserved_hooks
from hookbus.cli.plugins.observers import discards
from hookbus.registry.policy import ModeOverride, Overrides

#: Seconds after which an override without an end counts as forgotten.
FORGOTTEN_AFTER: Final = 24 * 3_600.0


def judge_plugins(view: BusView, now: float) -> Iterator[Finding]:
    """*now* is in seconds since the epoch. Without a registry there is nothing to say."""
    if view.listed is None or view.settings is None:
        return
    removed = overrides_in_force(view.settings, now).removed
    wrong = [found for plugin in view.listed["plugins"] for found in _plugin(plugin, removed)]
    yield from wrong
    bound = sum(plugin["state"] == "bound" for plugin in view.listed["plugins"])
    if not wrong:
        yield ok("plugins", f"{bound} bound, all of them answer" if bound else "none is bound")
    yield from _observers(view)
    yield _breakers(view)
    yield _overrides(overrides_in_force(view.settings, now), now)


def _plugin(plugin: dict[str, Any], removed: Container[str]) -> Iterator[Finding]:
    name, state, why = plugin["plugin"], plugin["state"], plugin["problem"]
    if state == "refused":
        next_ = "correct what it announces, and start it again"
        yield problem("plugins", f"{name} is refused: {why}", next_)
    elif state != "bound" and name in removed:
        return  # an operator's word, and among the overrides
    elif state != "bound":
        next_ = f"'hookbus plugins approve {name}', or name it in the settings"
        yield problem("plugins", f"{name} is not asked: {why or 'no setting binds it'}", next_)
    elif not plugin["replicas"]:
        what = "the events wait" if _only_observes(plugin) else "what it is asked fails"
        said = f"{name} is bound, and nothing answers, so {what}"
        yield problem("plugins", said, f"start it, or run 'hookbus plugins remove {name}'")
    elif silent := unserved_hooks(plugin):
        said = f"{name} {plugin['version']} does not serve {silent}, which is bound: it fails there"
        yield problem("plugins", said, "start a version that does, or change the settings")
    elif why:
        next_ = "two plugins with one name? give one another name, or raise its version"
        yield problem("plugins", f"{name}: a replica is refused: {why}", next_)


def _only_observes(plugin: dict[str, Any]) -> bool:
    return {hook["phase"] for hook in plugin["hooks"]} == {"observe"}


def _observers(view: BusView) -> Iterator[Finding]:
    """What observers could not handle, and what they never had."""
    wrong, letters = False, 0
    for plugin in (view.listed or {"plugins": []})["plugins"]:
        for hook in plugin["hooks"]:
            state, name = hook.get("observer"), f"{plugin['plugin']}/{hook['name']}"
            if state is not None and state["letters"]:
                wrong, letters = True, letters + state["letters"]
                said = f"{name} could not handle {state['letters']} events: they are dead letters"
                next_ = f"'hookbus dlq --plugin {plugin['plugin']}' says why"
                yield problem("observers", said, next_)
            if state is not None and (lost := discards(state)):
                wrong = True
                said = f"{name} never had {lost} events: the stream's limits took them before"
                next_ = "start it, or raise streams.OBSERVE.max_bytes and max_age in the settings"
                yield problem("observers", said, next_)
    if (others := _letters(view) - letters) > 0:
        wrong = True
        said = f"{others} dead letters are of hooks that are not bound any more"
        next_ = "'hookbus dlq' lists them; start their plugin and send them again, or drop them"
        yield problem("observers", said, next_)
    if not wrong:
        yield ok("observers", "no dead letters, and nothing was lost")


def _letters(view: BusView) -> int:
    """How many letters there are, as far as JetStream may be asked."""
    match view.streams.get(subjects.DLQ_STREAM):
        case {"state": {"messages": int(count)}}:
            return count
    return 0


def _breakers(view: BusView) -> Finding:
    resting = [
        f"{key} is {state.replace('_', ' ')} on {stats.name}"
        for stats in view.dispatchers
        for key, state in stats.breakers.items()
    ]
    if not resting:
        return ok("breakers", "all closed")
    plugin = next(key for stats in view.dispatchers for key in stats.breakers).partition("/")[0]
    next_ = f"it failed several times in a row: 'hookbus plugins show {plugin}' says how"
    return problem("breakers", "; ".join(resting), next_)


def _overrides(overrides: Overrides, now: float) -> Finding:
    forgotten = {
        key: override
        for key, override in overrides.modes.items()
        if override.until is None and _age(override, now) > FORGOTTEN_AFTER
    }
    if forgotten:
        said, _, next_ = lines(Overrides(modes=forgotten))[0].partition("; ")
        days = _age(next(iter(forgotten.values())), now) / FORGOTTEN_AFTER
        more = f" (and {len(forgotten) - 1} more)" if len(forgotten) > 1 else ""
        return problem("overrides", f"{said}, {days:.0f} days ago and without an end{more}", next_)
    count = len(lines(overrides))
    return ok("overrides", f"{count} in force, none forgotten" if count else "none")


def _age(override: ModeOverride, now: float) -> float:
    try:
        return now - datetime.fromisoformat(override.at).timestamp()
    except ValueError:  # a time for people to read, of another version
        return 0.0
