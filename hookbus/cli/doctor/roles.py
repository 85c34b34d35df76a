"""Registries and dispatchers: are they there, of one version, with the same configuration. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hookbus.cli.doctor.finding import Finding, ok, problem, unknown
from hookbus.cli.doctor.view import BusView
from hookbus.cli.role_stats import DispatcherStats, RoleStats


def judge_roles(view: BusView) -> Iterator[Finding]:
    if view.is_denied:
        for check in ("registry", "dispatcher", "plugins"):
            yield unknown(check, "these credentials may not ask", "use a viewer's or an operator's")
        return
    yield from _registries(view)
    yield from _dispatchers(view)
    yield from _recording(view)
    roles: list[RoleStats] = [*view.registries, *view.dispatchers]
    versions = {role.version for role in roles}
    if len(versions) > 1:
        shown = ", ".join(f"{role.name}: {role.version}" for role in roles)
        yield problem("versions", shown, "finish the upgrade: start the older ones again")
    elif versions:
        yield ok("versions", f"all roles are hookbus {min(versions)}")


def _registries(view: BusView) -> Iterator[Finding]:
    if view.listed is None:
        next_ = "start one: 'hookbus serve registry', or 'hookbus up' for development"
        if view.registries:
            next_ = "its log says more; these credentials may not be an operator's"
        yield problem("registry", view.refusal, next_)
        return
    owners = sorted({stats.file for stats in view.registries if stats.file is not None})
    if len(owners) > 1:
        yield problem(
            "registry",
            f"two buses share this NATS account: its registries serve {' and '.join(owners)}",
            "give each bus a NATS account of its own, or start all registries with one file",
        )
    for stats in view.registries:
        if stats.settings_problem is not None:
            said = f"{stats.name}: {stats.settings_problem}"
            yield problem("settings", said, "correct the settings; what was in force still is")
    if any(stats.waiting for stats in view.registries):
        said = "no settings were ever applied, so every event is blocked as not_ready"
        yield problem("registry", said, "hookbus settings apply FILE")
        return
    if len(owners) < 2:
        count = len(view.registries)
        yield ok("registry", f"{count} up, generation {view.listed['generation']}")


def _recording(view: BusView) -> Iterator[Finding]:
    """A stream that is gone, or takes nothing, is seen by those who write to it."""
    failing = [
        f"{stats.name}: {stream}: {state.error} ({state.pending} wait, {state.given_up} given up)"
        for stats in view.dispatchers
        for stream, state in sorted(stats.recording.items())
        if state.error is not None
    ]
    if failing:
        next_ = "make room on the broker's disk; a stream that is gone is made by a new registry"
        yield problem("recording", "; ".join(failing), next_)
    elif view.dispatchers:
        lost = sum(s.given_up for stats in view.dispatchers for s in stats.recording.values())
        yield ok("recording", f"the streams take everything; {lost} given up since the start")


def _dispatchers(view: BusView) -> Iterator[Finding]:
    if not view.dispatchers:
        yield problem(
            "dispatcher",
            "none answers, so nothing is decided",
            "start one: 'hookbus serve dispatcher', or 'hookbus up' for development",
        )
        return
    if view.listed is None:
        yield unknown(
            "dispatcher", f"{len(view.dispatchers)} up; no registry says what they should use"
        )
        return
    newest = view.listed["generation"]
    behind = [stats for stats in view.dispatchers if stats.generation != newest]
    if behind:
        said = f"generation {newest} is in force, and {_generations(behind)}"
        next_ = "see their logs; start those again that cannot read it"
        yield problem("dispatcher", said, next_)
    else:
        yield ok("dispatcher", f"{len(view.dispatchers)} up, generation {newest}{_locals(view)}")


def _locals(view: BusView) -> str:
    """Those in an emitter's process decide that emitter's events, and nobody else's."""
    local = sum(stats.local_to is not None for stats in view.dispatchers)
    if local == len(view.dispatchers):
        return "; all are local to their emitters, so events of others are not decided"
    return f"; {local} of them local to emitters" if local else ""


def _generations(behind: Sequence[DispatcherStats]) -> str:
    return ", ".join(f"{stats.name} uses {stats.generation or 'none'}" for stats in behind)
