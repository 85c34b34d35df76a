"""What one hook's turn comes to, and the decision that all of them make: R4, R5, R7, R15, R17.

Part of the reference model: imports no hookbus. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.model.calls import Heard
from tests.model.documents import Operations, digest, same
from tests.model.values import Event, Hook, Says

NO_REASON = "blocked without explanation"


@dataclass
class Turn:
    """One hook's turn: why it was not asked, or what it answered and what that comes to."""

    hook: Hook
    round: int
    heard: Heard
    notes: list[dict[str, Any]] = field(default_factory=list)
    is_cached: bool = False
    is_unsupported: bool = False
    is_misled: bool = False
    after: Any = None
    operations: Operations = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)

    @property
    def is_asked(self) -> bool:
        return self.heard.attempt > 0

    @property
    def blocks(self) -> bool:
        return self.heard.said is not None and self.heard.said.verdict == "block"

    @property
    def changes(self) -> bool:
        """R9: an Intercept whose result equals its input triggers nothing. R15: nor does a warn."""
        return bool(self.pointers) and self.hook.mode == "enforce"


class Tally:
    """What has been heard about one event so far, in order."""

    def __init__(self) -> None:
        self.objections: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.conflicts: list[dict[str, Any]] = []
        self.records: list[dict[str, Any]] = []
        self.is_degraded = False

    def enter(self, turn: Turn) -> None:
        """R17: everything leaves a record."""
        resolution = self.resolve(turn)
        if turn.heard.said is not None:
            plugin = turn.hook.plugin
            self.warnings.extend(f"{plugin}: {text}" for text in turn.heard.said.warnings)
        self.records.append(record(turn, resolution))

    def resolve(self, turn: Turn) -> str:
        """R5, R7, R15: what the operator makes of the answer."""
        hook, heard = turn.hook, turn.heard
        if turn.is_unsupported:
            self.object(hook.plugin, "config", "dry_run_unsupported")
            return "skipped"
        if heard.said is None and heard.failure is None:
            return "skipped"
        if hook.mode == "warn":
            return self.warn(turn)
        resolution = "cached" if turn.is_cached else "enforced"
        if turn.blocks and heard.said is not None:
            said = heard.said
            reason = said.reason or NO_REASON
            self.object(hook.plugin, "verdict", said.code, reason, said.message)
        elif heard.failure is not None and hook.is_closed:
            is_deadline = heard.failure == "timeout" and heard.is_shortened  # R7
            if not turn.is_misled:  # R1: the schema blocks in its place
                self.object(hook.plugin, "deadline" if is_deadline else "failure", heard.failure)
            resolution = "failed_closed"
        elif heard.failure is not None:
            self.is_degraded = True
            resolution = "failed_open"
        return resolution

    def warn(self, turn: Turn) -> str:
        """R15: Block, failure and change become warnings."""
        plugin, heard = turn.hook.plugin, turn.heard
        if heard.failure is not None:
            self.warnings.append(f"{plugin}: {heard.failure}")
        elif turn.blocks and heard.said is not None:
            self.warnings.append(f"{plugin}: {heard.said.reason or NO_REASON}")
        elif turn.pointers:
            self.warnings.append(f"{plugin}: would change")
        else:
            return "cached" if turn.is_cached else "enforced"
        return "warned"

    def object(
        self,
        by: str | None,
        cause: str,
        code: str | None,
        reason: str | None = None,
        message: str | None = None,
    ) -> None:
        """Enter a Block; ``reason = <by>: <reason>``, of a failure its class."""
        text = reason if reason is not None else code
        told = f"{by}: {text}" if by else text
        block = {"by": by, "cause": cause, "code": code, "reason": told, "message": message}
        self.objections.append(block)

    def decision(self, event: Event, data: Any, generation: int) -> dict[str, Any]:
        """Aggregate; R4: Block verdicts before failure Blocks, then order."""
        verdicts = [o for o in self.objections if o["cause"] == "verdict"]
        ordered = verdicts + [o for o in self.objections if o["cause"] != "verdict"]
        nothing = dict.fromkeys(("by", "cause", "code", "reason", "message"))
        is_changed = not same(event.data, data)
        outcome = "block" if ordered else "intercept" if is_changed else "continue"
        return {
            "v": 1,
            "event": {"source": event.source, "type": event.type},
            "principal": event.principal,
            "dry_run": event.dry_run,
            "outcome": outcome,
            **(ordered[0] if ordered else nothing),
            "others": ordered[1:],
            "warnings": self.warnings,
            "conflicts": self.conflicts,
            "masked": [],
            "records": self.records,
            "generation": generation,
            "degraded": self.is_degraded,
            **({"data": data} if outcome == "intercept" else {}),
        }


def record(turn: Turn, resolution: str) -> dict[str, Any]:
    """R28: one hook's record; of a Block its reason verbatim, of a failure no wording."""
    hook, heard = turn.hook, turn.heard
    said = heard.said or Says(verdict="")
    return {
        "plugin": hook.plugin,
        "hook": hook.name,
        "version": hook.version,
        "phase": hook.phase,
        "round": turn.round,
        "attempt": heard.attempt,
        "mode": hook.mode,
        "verdict": said.verdict or None,
        "failure": heard.failure,
        "resolution": resolution,
        "code": said.code,
        "reason": said.reason or (NO_REASON if turn.blocks else None),
        "mutated": turn.changes,
        "pointers": turn.pointers,
        "patch_hash": digest(turn.operations) if turn.pointers else None,
        "notes": turn.notes,
        "annotations": said.annotations,
    }
