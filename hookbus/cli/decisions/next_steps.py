"""What a person can do about a decision, in words, with the commands for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hookbus.cli.decisions.generations import Generation, Generations
from hookbus.cli.printable import clean
from hookbus.models import Decision

_NO_ANSWER: Final = frozenset({"no_responders", "timeout", "transport", "breaker_open"})

#: What helps against a Block without a plugin to look at, by its cause and code.
_ADVICE: Final = {
    ("verdict", "not_converged"): "the plugins keep changing each other's result: let only one of"
    ' them ask for reinvoke, or set on_not_converged = "accept" for the type',
    ("limit", "event_too_large"): "send less data, or raise max_event_bytes",
    ("limit", "too_many_plugins"): "let fewer hooks match the type, or raise max_plugins",
    ("limit", "overloaded"): "'hookbus top' shows how busy the dispatchers are; start another one",
    ("limit", "decision_too_large"): "let the plugins change or say less at once",
    ("config", "not_ready"): "the dispatcher had no configuration: is a registry running, and were"
    " settings applied?"
    " 'hookbus top' says it",
    ("config", "id_reuse"): "two different events bore the same id and source: the emitter must"
    " give each event an id of its own",
    ("config", "dry_run_unsupported"): "a plugin with side effects cannot take part in a dry run",
    ("loop", "max_depth"): "plugins emit events that lead back to themselves; the reason names the"
    " chain",
    ("audit", "audit_unavailable"): "the record could not be written: is the broker's disk full?",
}


def next_steps(decision: Decision, generations: Generations) -> list[str]:
    """Return what to look at or do next, most helpful first; nothing if all is well."""
    steps = [*_about_block(decision), *_about_failures(decision)]
    if decision.outcome != "block":
        return steps
    return steps + list(_about_settings(decision, generations))


def _about_block(decision: Decision) -> Iterator[str]:
    if decision.outcome != "block":
        return
    by, cause = clean(decision.by or ""), decision.cause or ""
    if advice := _ADVICE.get((cause, decision.code or "")):
        yield advice
    if not by:
        return
    match cause, decision.code:
        case "verdict", "write_conflict":
            yield (
                f"{by} wrote what another plugin had written: list the field in its 'rewrites',"
                ' or set conflict = "last_wins" for the type'
            )
        case "verdict", _:
            yield f"'hookbus plugins show {by}' shows how it is bound, and by whom"
            yield (
                f"if it should not block: 'hookbus plugins mode {by} shadow --for 1h' lets events"
                " pass while you look, and records what it would have said"
            )
        case "deadline", _:
            yield (
                f"the event's time was over before {by} answered: give the event more time"
                " (hbtimeoutms), or the plugins before it less"
            )
            yield f"'hookbus plugins show {by}' shows how long it takes"
        case "failure", code:
            yield from _about_failure(by, code)


def _about_failure(plugin: str, code: str | None) -> Iterator[str]:
    yield f"'hookbus plugins show {plugin}' shows who answers, how long it takes and its breaker"
    if code in _NO_ANSWER:
        yield f"start {plugin} again if it is gone; while it is, its failures block"
    elif code == "schema":
        yield f"{plugin} leaves data that its type's schema forbids: it must be mended"
    else:
        yield f"{plugin} answers what cannot be used; try 'hookbus conformance plugin {plugin}'"
    yield f"to let events pass without it: 'hookbus plugins remove {plugin}'"


def _about_failures(decision: Decision) -> Iterator[str]:
    """Say what to do about failures that did not block."""
    failed = (r.plugin for r in decision.records if r.resolution == "failed_open")
    for plugin in dict.fromkeys(map(clean, failed)):
        yield f"{plugin} failed and was let pass: 'hookbus plugins show {plugin}' says how it is"


def _about_settings(decision: Decision, generations: Generations) -> Iterator[str]:
    names = concerned(decision)
    if any(made.touches(names) for made in generations.since(decision.generation)):
        yield "what decided has been changed since: the same event may be decided otherwise now"
        return
    cause = generations.last_touching(names, decision.generation)
    if cause is not None:
        yield f"generation {cause.generation} changed it: {_undo(cause, generations)}"
    yield "'hookbus settings history' shows who changed what, and when"


def _undo(made: Generation, generations: Generations) -> str:
    """Say how to take a generation back: that hangs on what made it."""
    before = generations.before(made)
    words = clean(made.what).split()
    if words[:1] == ["settings"] and before is not None:
        return f"'hookbus settings rollback {before}' takes that back"
    if words[:2] == ["plugins", "mode"] and len(words) > 2:
        plugin, _, hook = words[2].partition("/")
        option = f" --hook {hook}" if hook else ""
        return f"'hookbus plugins mode {plugin}{option} --reset' takes that back"
    return clean(f"{made.what or 'made'} by {made.by or '?'}")


def concerned(decision: Decision) -> tuple[str, ...]:
    """Return the names in the settings that this decision hangs on: its culprits' and its type's.

    Of a Block nobody in particular made, all who were asked.
    """
    culprits = [decision.by, *(other.by for other in decision.others)]
    if decision.by is None:
        culprits = [record.plugin for record in decision.records]
    plugins = dict.fromkeys(name for name in culprits if name)
    return (*(f"plugins.{name}" for name in plugins), f"types.{decision.event.type}")
