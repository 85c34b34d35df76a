"""How dispatching is observed: who sees what, and under which names. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from hookbus.models import Decision
from hookbus.wire.event import Inbound

#: Spans by name: what each is about, and its kind. The name is followed by the event's type, in a
#: call and a handler's span by the plugin.
SPANS: Final[Mapping[str, str]] = {
    "emit": "An emit, from the event to its decision (client).",
    "notify": "An event for observers only, until it is stored (producer).",
    "dispatch": "One event in the dispatcher, from its arrival to its decision (server).",
    "call": "One plugin asked by the dispatcher, retries included (client).",
    "handle": "A plugin's handler at a call (server).",
    "observe": "An observer's handler; it is linked to the dispatch (consumer).",
}

#: Attributes of spans; those of OpenTelemetry's conventions first. Never a payload, and no text
#: that a plugin wrote but its code, in which secrets are masked.
ATTRIBUTES: Final[Mapping[str, str]] = {
    "messaging.system": "`nats`",
    "messaging.operation.name": "`emit`, `notify`, `dispatch`, `call`, `handle` or `observe`",
    "messaging.operation.type": "`send` of an emitter and a call, else `process`",
    "messaging.destination.name": "the subject, or for an observer its type's",
    "messaging.consumer.group.name": "the queue group that shares the messages",
    "messaging.message.body.size": "bytes of the event as it came in",
    "cloudevents.event_id": "the event's `id`",
    "cloudevents.event_source": "its `source`",
    "cloudevents.event_type": "its `type`",
    "cloudevents.event_spec_version": "`1.0`",
    "error.type": "the failure class, the cause of a Block that is no verdict, or an exception",
    "hookbus.decision": "the decision's id, for `hookbus decisions explain`",
    "hookbus.outcome": "`continue`, `intercept` or `block`",
    "hookbus.cause": "why it is a Block",
    "hookbus.code": "the decision's code",
    "hookbus.by": "the plugin whose Block it is",
    "hookbus.degraded": "a plugin failed open",
    "hookbus.dry_run": "nothing was to be changed",
    "hookbus.generation": "the configuration's generation",
    "hookbus.principal": "who emitted the event",
    "hookbus.plugin": "the plugin",
    "hookbus.hook": "its hook",
    "hookbus.phase": "`mutate`, `validate` or `observe`",
    "hookbus.mode": "the mode in force",
    "hookbus.round": "1, or more if it was asked again",
    "hookbus.attempt": "1, or more if the call was repeated",
    "hookbus.verdict": "what it answered",
    "hookbus.failure": "the failure class",
    "hookbus.resolution": "what its answer came to",
    "hookbus.changed": "how many places its change wrote to",
}


class Observer(Protocol):
    """Sees every dispatch; the only place where anything is measured."""

    def on_decision(
        self, inbound: Inbound, decision: Decision, seconds: float, asked_ms: Sequence[float] = ()
    ) -> None:
        """The decision is made, *seconds* after the event came in; as it is recorded.

        *asked_ms* says of each record when its hook was asked, in milliseconds from the arrival.
        """


class Tracing(Observer, Protocol):
    """An observer that writes spans, and so says which trace a dispatch belongs to."""

    def begin(self, inbound: Inbound, share: float) -> Inbound:
        """Give a dispatch its place in a trace; *share* of those without one begin a new one."""


class Observers:
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def on_decision(
        self, inbound: Inbound, decision: Decision, seconds: float, asked_ms: Sequence[float] = ()
    ) -> None:
        for observer in self._observers:
            observer.on_decision(inbound, decision, seconds, asked_ms)
