"""What users of hookbus hold in their hands: events, verdicts, decisions, payloads. Pure.

Events, verdicts and decisions are frozen msgspec structs (they are decoded on the hot path);
payloads are pydantic models, so that a handler gets a validated one.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict

from hookbus.errors import HookBlocked

Phase: TypeAlias = Literal["mutate", "validate", "observe"]
Mode: TypeAlias = Literal["enforce", "warn", "shadow", "off"]
OnFailure: TypeAlias = Literal["closed", "open"]
Outcome: TypeAlias = Literal["continue", "intercept", "block"]
Cause: TypeAlias = Literal[
    "verdict", "failure", "deadline", "limit", "config", "unavailable", "loop", "audit"
]
Resolution: TypeAlias = Literal[
    "enforced", "failed_open", "failed_closed", "warned", "skipped", "discarded", "cached"
]
FailureClass: TypeAlias = Literal[
    "no_responders",
    "timeout",
    "transport",
    "service_error",
    "overloaded",
    "malformed",
    "uid_mismatch",
    "unknown_verdict",
    "phase_violation",
    "reply_too_large",
    "bad_patch",
    "forbidden_write",
    "breaker_open",
    "match_error",
    "schema",
    "cancelled",
]

Payload_co = TypeVar("Payload_co", covariant=True)


class Payload(BaseModel):
    """Base of the payloads: frozen, further keys are allowed and kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    event_type: ClassVar[str] = ""


class MessageReceived(Payload):
    """Somebody wrote to us."""

    event_type: ClassVar[str] = "message_received"

    text: str
    user: str | None = None


class ToolInvoked(Payload):
    """An agent is about to run a tool."""

    event_type: ClassVar[str] = "tool_invoked"

    name: str
    args: dict[str, Any]


class ResponseGenerated(Payload):
    """A model answered, and nobody has seen the answer yet."""

    event_type: ClassVar[str] = "response_generated"

    text: str


class HookEvent(msgspec.Struct, Generic[Payload_co], frozen=True, kw_only=True):
    """A CloudEvent as a plugin sees it.

    Attributes:
        data: the payload as it stands now: a validated model when the handler's annotation names
            one (``HookEvent[MessageReceived]``), otherwise plain JSON values.
        dry_run: nothing may be changed in the world because of this event.
        chain: names of the plugins whose handlers led to this event, oldest first.
        principal: who emitted it; known to observers only, None otherwise.
        decision: the decision without its data; known to observers only, None otherwise.
        extensions: the CloudEvents attributes that hookbus does not know.
    """

    id: str
    source: str
    type: str
    data: Payload_co
    subject: str | None = None
    time: str | None = None
    dry_run: bool = False
    chain: tuple[str, ...] = ()
    traceparent: str | None = None
    tracestate: str | None = None
    principal: str | None = None
    decision: Decision | None = None
    extensions: dict[str, Any] = {}


class _Verdict(msgspec.Struct, frozen=True, kw_only=True):
    warnings: tuple[str, ...] = ()
    annotations: dict[str, str] = {}


class Continue(_Verdict, frozen=True):
    """No objection, no change. A handler that returns None says the same."""


class Intercept(_Verdict, frozen=True):
    """Change the event's data; exactly one of the three.

    Attributes:
        data: the whole new data (a payload model or plain JSON values).
        patch: RFC 6902 operations, pointers relative to ``data``.
        merge: an RFC 7396 merge patch.
    """

    data: Any = msgspec.field(default=msgspec.UNSET)
    patch: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    merge: Any = msgspec.field(default=msgspec.UNSET)

    def __post_init__(self) -> None:
        given = [n for n in ("data", "patch", "merge") if getattr(self, n) is not msgspec.UNSET]
        if len(given) != 1:
            raise ValueError(f"Intercept takes exactly one of data, patch, merge; got {given}")


class Block(_Verdict, frozen=True, kw_only=False):
    """Refuse the event.

    Attributes:
        reason: for operators; empty means a default one.
        code: for programs, at most 64 characters.
        message: may be shown to an end user.

    What is no text is written as one: whatever else is wrong with it, a Block stays a Block.
    """

    reason: str = ""
    code: str | None = msgspec.field(default=None)
    message: str | None = msgspec.field(default=None)


Verdict: TypeAlias = Continue | Intercept | Block


class EventRef(msgspec.Struct, frozen=True, gc=False):
    """Which event a decision is about."""

    id: str
    source: str
    type: str


class PluginRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one plugin did to one event.

    Attributes:
        version: of the plugin that answered, else of the binding.
        attempt: 1 is the first call; 0 means it was never called.
        verdict: what it said; None when it failed or was not asked.
        failure: the failure class, None when it answered.
        resolution: what that came to.
        reason: verbatim, without the plugin's name in front.
        ms: milliseconds from the call to the answer.
        mutated: its change was applied and differs from its input.
        pointers: JSON Pointers of what it changed.
        patch_hash: SHA-256 of the canonical patch.
    """

    plugin: str
    hook: str
    version: str
    phase: str
    round: int = 1
    attempt: int = 1
    mode: str = "enforce"
    verdict: str | None = None
    failure: str | None = None
    resolution: str = "enforced"
    code: str | None = None
    reason: str | None = None
    ms: float = 0.0
    mutated: bool = False
    pointers: tuple[str, ...] = ()
    patch_hash: str | None = None
    notes: tuple[dict[str, Any], ...] = ()
    annotations: dict[str, str] = {}


class OtherBlock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A Block beside the primary one."""

    by: str | None
    cause: str
    code: str | None
    reason: str
    message: str | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the bus decided about one event.

    Attributes:
        outcome: ``continue``, ``intercept`` or ``block``.
        data: what to use from here on; the emitter's own data on continue, None on block.
        cause, code, by, reason, message: of the primary Block, None without one.
        others: the other Blocks, in order.
        degraded: at least one enforced plugin failed open.
        records: what each plugin did.
        generation: number of the configuration that was used.
    """

    v: int = 1
    id: str
    event: EventRef
    outcome: Outcome
    principal: str = ""
    dry_run: bool = False
    cause: str | None = None
    code: str | None = None
    by: str | None = None
    reason: str | None = None
    message: str | None = None
    others: tuple[OtherBlock, ...] = ()
    warnings: tuple[str, ...] = ()
    conflicts: tuple[dict[str, Any], ...] = ()
    masked: tuple[str, ...] = ()
    records: tuple[PluginRecord, ...] = ()
    generation: int = 0
    degraded: bool = False
    trace_id: str | None = None
    data: Any = msgspec.field(default=msgspec.UNSET)  # unset is left out of the message

    @property
    def is_blocked(self) -> bool:
        """Tell whether the emitter must stop here."""
        return self.outcome == "block"

    def raise_for_block(self) -> None:
        """Raise :class:`~hookbus.errors.HookBlocked` when the outcome is block."""
        if self.outcome == "block":
            reason = self.reason or "blocked"
            raise HookBlocked(self.id, self.by, reason, self.code, self.message, self.cause)
