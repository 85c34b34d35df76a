"""All checks of one plugin, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from hookbus.conformance.answers import AFTERWARDS, ANSWERS
from hookbus.conformance.caller import Caller
from hookbus.conformance.check import Check, Probe, run_checks
from hookbus.conformance.drain import check_drain
from hookbus.conformance.observers import OBSERVERS
from hookbus.conformance.report import Finding, Report, failed, passed
from hookbus.conformance.robustness import ROBUSTNESS
from hookbus.conformance.service import check_service
from hookbus.conformance.target import Hook, PluginAbsent, Target, look_up, read_target
from hookbus.keyvalue import KeyValue
from hookbus.transport import Transport

#: The points of a mutate or validate hook.
CALL_CHECKS: Final[Sequence[Check[Probe]]] = (*ANSWERS, *ROBUSTNESS, *AFTERWARDS)

_ANNOUNCED: Final = "A plugin announces its hooks to the registry, which answers 'bound'."
_DRAIN_RULE: Final = "A plugin that stops says goodbye, answers what it was asked, and drains."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the one who runs the checks wants.

    Attributes:
        hook: only this one.
        data: the payload to try, instead of one that is made from the type's schema.
        stop: ends the plugin's process, to see how it drains.
    """

    hook: str | None = None
    data: Any = msgspec.UNSET
    stop: Callable[[], None] | None = None


async def examine_plugin(
    transport: Transport,
    principal: str,
    plugin: str,
    wishes: Wishes = Wishes(),
    *,
    config: KeyValue | None = None,
) -> Report:
    """Check every bound hook of a plugin that is up, speaking to it as a dispatcher.

    *principal* needs a dispatcher's rights. Who has no more than those reads in *config*, the
    bus's configuration, what there is to call; without it the registry is asked, which takes an
    operator's, too.

    Raises:
        PluginAbsent: It is not known, has no such hook, or no replica of it is up.
        ControlError: There is no registry.
    """
    found = (
        await look_up(transport, principal, plugin)
        if config is None
        else await read_target(config, plugin)
    )
    target = _wanted(found, wishes)
    caller = Caller(transport, principal)
    await caller.start()
    try:
        findings = [_announced(target), await check_service(transport, target)]
        findings += await examine_hooks(caller, target)
        if wishes.stop is not None:
            findings += await _drained(caller, target, wishes.stop)
    finally:
        await caller.stop()
    return Report(plugin, target.version, tuple(findings))


async def examine_hooks(caller: Caller, target: Target) -> list[Finding]:
    """Check hook after hook.

    Raises:
        PluginAbsent: Nothing is subscribed for any of them.
    """
    probes = [Probe(caller, hook, target.replicas) for hook in target.hooks]
    findings: list[Finding] = []
    for probe in probes:
        checks = OBSERVERS if probe.hook.phase == "observe" else CALL_CHECKS
        findings += await run_checks(probe, checks, hook=probe.hook.name)
    if probes and all(probe.asked and probe.first.is_absent for probe in probes):
        listening = ", ".join(repr(probe.hook.subject) for probe in probes)
        raise PluginAbsent(
            f"plugin {target.plugin!r} is bound, and nothing listens on {listening}: is it up, and"
            " are these the subjects that it has subscribed to?"
        )
    return findings


def _wanted(target: Target, wishes: Wishes) -> Target:
    """Keep the hooks that are wanted, with the payload that is wanted."""
    hooks = [hook for hook in target.hooks if wishes.hook in (None, hook.name)]
    if not hooks and wishes.hook is not None:
        known = ", ".join(hook.name for hook in target.hooks) or "none"
        raise PluginAbsent(
            f"plugin {target.plugin!r} has no bound hook {wishes.hook!r}; it has: {known}"
        )
    if wishes.data is not msgspec.UNSET:
        hooks = [replace(hook, data=wishes.data, no_data="") for hook in hooks]
    return replace(target, hooks=tuple(hooks))


def _announced(target: Target) -> Finding:
    seen = (
        passed(f"bound: version {target.version}, generation {target.generation}")
        if target.problem is None
        else failed(f"not bound: {target.problem}")
    )
    return Finding("announced", None, seen.status, seen.text, _ANNOUNCED)


async def _drained(caller: Caller, target: Target, stop: Callable[[], None]) -> list[Finding]:
    hook = next((h for h in target.hooks if h.phase != "observe" and not h.no_data), None)
    if hook is None:
        return [_no_drain(None, "no hook of it can be called")]
    if target.replicas > 1:
        return [_no_drain(hook, f"{target.replicas} replicas are up; its end would not be seen")]
    return await check_drain(caller, hook, stop, hears=not target.is_dispatchers_view)


def _no_drain(hook: Hook | None, why: str) -> Finding:
    return Finding("drain", hook.name if hook else None, "skipped", why, _DRAIN_RULE)
