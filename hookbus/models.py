"""What users of hookbus hold in their hands: events, verdicts, decisions, payloads. Pure.

Events, verdicts and decisions are frozen msgspec structs (they are decoded on the hot path);
payloads are pydantic models, so that a handler gets a validated one.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Literal, Self, TypeAlias, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, model_validator

from hookbus.errors import HookBlocked

__all__ = [
    "Block",
    "Cause",
    "Continue",
    "Decision",
    "EventRef",
    "FailureClass",
    "HookEvent",
    "Intercept",
    "MessageReceived",
    "Mode",
    "OnFailure",
    "OtherBlock",
    "Outcome",
    "Payload",
    "Phase",
    "PluginRecord",
    "Resolution",
    "ResponseGenerated",
    "ToolInvoked",
    "Verdict",
]

#: When a hook is asked: ``mutate`` one after another, then ``validate`` all at once, and
#: ``observe`` behind the decision.
Phase: TypeAlias = Literal["mutate", "validate", "observe"]
#: What a hook's verdict may do, as the operator says: ``enforce`` it, only ``warn``, only be
#: recorded while nobody waits (``shadow``), or ``off``: it is not asked.
Mode: TypeAlias = Literal["enforce", "warn", "shadow", "off"]
#: What no usable answer of a plugin counts as: a Block (``closed``), or a Continue that is recorded
#: (``open``).
OnFailure: TypeAlias = Literal["closed", "open"]
#: What a decision comes to: go on with the emitter's data, go on with other data, or stop.
Outcome: TypeAlias = Literal["continue", "intercept", "block"]
#: Why a decision is a block: ``verdict`` (a plugin said so), ``failure`` (a closed plugin failed),
#: ``deadline`` (the event's time was over), ``limit``, ``config``, ``loop``, ``audit`` (the record
#: of the decision is not stored); ``unavailable`` is the emitter's own word for no decision at all.
Cause: TypeAlias = Literal[
    "verdict", "failure", "deadline", "limit", "config", "unavailable", "loop", "audit"
]
#: What one plugin's answer, or its failure, came to in a decision.
Resolution: TypeAlias = Literal[
    "enforced", "failed_open", "failed_closed", "warned", "skipped", "discarded", "cached"
]
#: How a plugin can fail; each is explained in docs/protocol.md, "When a plugin fails".
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
    """Base of payload models (pydantic): frozen, further keys are allowed and kept.

    A model of your own is ``class OrderPlaced(Payload)`` with typed fields, and in a handler
    ``event: HookEvent[OrderPlaced]``; an event that does not fit it fails as ``service_error``.

    Attributes:
        event_type: the type of the events that carry it, for the reader; nothing looks at it.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    event_type: ClassVar[str] = ""


class MessageReceived(Payload):
    """Somebody wrote to us: the payload of ``message_received``.

    Attributes:
        text: what was written.
        user: the service's own name for who wrote it; None if it is not said.
    """

    event_type: ClassVar[str] = "message_received"

    text: str
    user: str | None = None

    @model_validator(mode="after")
    def _none_is_not_said(self) -> Self:
        """The type's schema knows no null."""
        if self.user is None:
            self.model_fields_set.discard("user")
        return self


class ToolInvoked(Payload):
    """An agent is about to run a tool: the payload of ``tool_invoked``.

    Attributes:
        name: the tool's name: ``"bash"``.
        args: its arguments by name, JSON values: ``{"command": "ls"}``.
    """

    event_type: ClassVar[str] = "tool_invoked"

    name: str
    args: dict[str, Any]


class ResponseGenerated(Payload):
    """A model answered, and nobody has seen it yet: the payload of ``response_generated``.

    Attributes:
        text: the answer.
    """

    event_type: ClassVar[str] = "response_generated"

    text: str


class HookEvent(msgspec.Struct, Generic[Payload_co], frozen=True, kw_only=True):
    """A CloudEvent as a plugin sees it.

    All but *data* are its CloudEvents attributes as the emitter set them; None and empty is what it
    did not set.

    Attributes:
        id: the event's id, unique within its *source*.
        source: where it comes from, a URI reference: ``"/chat"``.
        type: its event type: ``"message_received"``.
        data: the payload as it stands now, changed by the mutate plugins before: a validated model
            when the handler's annotation names one (``HookEvent[MessageReceived]``), otherwise
            plain JSON values.
        subject: what in *source* it is about.
        time: when it happened, RFC 3339: ``"2026-11-21T10:00:00.000Z"``; the emitter's clock.
        dry_run: nothing may be changed in the world because of this event (``hbdryrun``).
        chain: names of the plugins whose handlers led to this event, oldest first (``hbchain``).
        traceparent: W3C trace context, ``"00-<trace id>-<span id>-<flags>"``.
        tracestate: W3C trace context, the vendors' part.
        principal: who emitted it, as the broker knows it; known to observers only.
        decision: the decision without its data; known to observers only.
        extensions: the CloudEvents attributes that hookbus does not know, by name.
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
    """What every verdict may say beside itself.

    Attributes:
        warnings: texts for the emitter; they reach it as ``"<plugin>: <text>"``.
        annotations: texts by name for the record of the decision, such as counts; no secrets.
    """

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


#: What a handler answers: Continue (or None), Intercept or Block.
Verdict: TypeAlias = Continue | Intercept | Block


class EventRef(msgspec.Struct, frozen=True, gc=False):
    """Which event a decision is about: its CloudEvents attributes.

    Attributes:
        id: the event's id, made by the emitter if none was given.
        source: where it comes from, a URI reference.
        type: its event type.
    """

    id: str
    source: str
    type: str


class PluginRecord(msgspec.Struct, frozen=True, gc=False):
    """What one plugin did to one event, as the dispatcher saw it.

    Attributes:
        plugin: its name.
        hook: the name of its hook.
        version: of the plugin that answered, else of the binding.
        phase: ``mutate`` or ``validate``.
        round: 1; higher when a mutate hook was asked again because others changed the data.
        attempt: 1 is the first call, 2 its first repetition; 0 means it was never called.
        mode: ``enforce``, ``warn`` or ``shadow``, as it was in force.
        verdict: ``continue``, ``intercept`` or ``block``; None when it failed or was not asked.
        failure: the failure class, such as ``timeout``; None when it answered.
        resolution: what that came to; see ``hookbus.models.Resolution``.
        code: the plugin's own code of a Block, else None.
        reason: verbatim, without the plugin's name in front; of a failure what went wrong.
        ms: milliseconds from the call to the answer.
        mutated: its change was applied and differs from its input.
        pointers: JSON Pointers of what it changed, relative to ``data``; never values.
        patch_hash: SHA-256 of the canonical patch, in hexadecimal; None without a change.
        notes: what else happened, each with a ``kind``, such as ``condition_false`` or
            ``cache_hit``.
        annotations: what the verdict said under this name.
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
    """A Block beside the primary one; each field as of :class:`Decision`.

    Attributes:
        by: the plugin, or None when no plugin is to blame.
        cause: why it is one: ``verdict``, ``failure``, …
        code: for programs, or None.
        reason: for operators.
        message: may be shown to an end user, or None.
    """

    by: str | None
    cause: str
    code: str | None
    reason: str
    message: str | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the bus decided about one event.

    A dispatcher makes it. An emitter makes one itself where none could: a block with the cause
    ``unavailable``, or ``limit`` for an event that the broker does not take, and a degraded
    continue (``on_unavailable``).

    Attributes:
        v: version of the protocol, 1.
        id: the decision's own id, a UUID whose beginning is its time; what to look it up by
            (``hookbus decisions explain ID``), and what an end user may be shown as reference.
        event: which event it is about.
        outcome: ``continue``, ``intercept`` or ``block``.
        principal: who emitted the event, as the broker knows it.
        dry_run: the event asked that nothing be changed because of it.
        cause: why it is a block; None without one. See ``hookbus.models.Cause``.
        code: for programs: the blocking plugin's own code, or the failure's class; None without.
        by: the plugin whose Block is the primary one; None without a block, or without anybody.
        reason: of the block, for operators: ``"<plugin>: <what it said>"``; never for end users.
        message: of the block, may be shown to an end user; None when the plugin gave none.
        others: the other Blocks, in order.
        warnings: texts from plugins, ``"<plugin>: …"``.
        conflicts: places where a plugin wrote over another one's change, each
            ``{"path": JSON Pointer, "loser": plugin, "winner": plugin}``.
        masked: JSON Pointers of secret fields, whose values are not in the recorded decision.
        records: what each plugin did, in the order in which they were asked.
        generation: number of the configuration that was used; 0 is none.
        degraded: at least one enforced plugin failed open, or nobody decided and
            ``on_unavailable="continue"``.
        trace_id: from the event's ``traceparent``, or of the trace that the dispatcher began; None
            without one.
        data: JSON values to use from here on: changed on intercept, the emitter's own on continue,
            None on block; unset where the decision is only told, as to observers.
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
