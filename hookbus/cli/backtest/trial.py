"""Which hooks of a candidate are compared with which of its incumbent, and whether they can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from hookbus import subjects
from hookbus.cli.errors import UsageError
from hookbus.cli.plugins.asked import binding_of
from hookbus.cli.printable import clean
from hookbus.dispatch.ordering import counterpart
from hookbus.errors import Unavailable
from hookbus.snapshot import Binding


class Pair(NamedTuple):
    """Two hooks that are asked about the same input."""

    incumbent: Binding
    candidate: Binding


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate that is bound in shadow, and the plugin that it is compared with."""

    candidate: str
    incumbent: str
    candidates: tuple[Binding, ...]
    incumbents: tuple[Binding, ...]
    _pairs: dict[str, tuple[Pair, ...]] = field(default_factory=dict)

    @property
    def longest(self) -> float:
        """Seconds that the candidate may take for an answer."""
        return max(binding.timeout for binding in self.candidates)

    def is_about(self, event_type: str) -> bool:
        """Tell whether the candidate asks for such events at all."""
        return any(subjects.type_matches(b.type, event_type) for b in self.candidates)

    def pairs(self, event_type: str) -> tuple[Pair, ...]:
        """Return the hooks that are compared for events of one type, as the dispatcher does."""
        if event_type not in self._pairs:
            others = [b for b in self.incumbents if subjects.type_matches(b.type, event_type)]
            mine = [b for b in self.candidates if subjects.type_matches(b.type, event_type)]
            found = [(counterpart(binding, others), binding) for binding in mine]
            self._pairs[event_type] = tuple(Pair(i, c) for i, c in found if i is not None)
        return self._pairs[event_type]


def trial_of(listed: dict[str, Any], name: str) -> Trial:
    """Find the two in the registry's answer to ``list``.

    Raises:
        UsageError: It is no candidate that can be compared; the message says what to do.
        Unavailable: Nobody answers for one of them.
    """
    candidate = _bound(listed, name)
    incumbent_name = candidate.get("candidate_of")
    if not incumbent_name:
        raise UsageError(
            f"{name} is no candidate: it announces no candidate_of; in its code, next:"
            f" Plugin({name!r}, version=…, candidate_of='NAME OF THE OTHER')"
        )
    incumbent = _bound(listed, incumbent_name)
    hooks = [hook for hook in candidate["hooks"] if hook["phase"] != "observe"]
    for hook in hooks:
        if hook["mode"] not in ("shadow", "off"):
            origin = clean(hook["origins"].get("mode", "default"))
            raise UsageError(
                f"{name}: hook {hook['name']} is in mode {hook['mode']} (from: {origin}), and only"
                f" one in shadow is compared; next: 'hookbus plugins mode {name} shadow'"
            )
    mine = tuple(
        msgspec.structs.replace(binding_of(name, hook), candidate_of=incumbent_name)
        for hook in hooks
        if hook["mode"] == "shadow"
    )
    theirs = tuple(
        binding_of(incumbent_name, hook)
        for hook in incumbent["hooks"]
        if hook["mode"] in ("enforce", "warn") and hook["phase"] != "observe"
    )
    if not any(counterpart(binding, theirs) for binding in mine):
        raise UsageError(
            f"{name} has no hook that can be compared with one of {incumbent_name}: expected one in"
            " the same phase that is asked; see 'hookbus plugins'"
        )
    for plugin in (candidate, incumbent):
        if not plugin["replicas"]:
            raise Unavailable(
                f"{plugin['plugin']} is bound, but nothing answers; start it", code="no_responders"
            )
    return Trial(name, incumbent_name, mine, theirs)


def _bound(listed: dict[str, Any], name: str) -> dict[str, Any]:
    plugins: list[dict[str, Any]] = listed["plugins"]
    found = next((p for p in plugins if p["plugin"] == name), None)
    if found is None:
        known = ", ".join(clean(p["plugin"]) for p in plugins) or "none"
        raise UsageError(f"{clean(name)} is not known here; known are: {known}; start it")
    if found["state"] != "bound":
        problem = clean(found["problem"] or "nothing in the settings binds it")
        raise UsageError(f"{name} is not bound: {problem}")
    return found
