"""What of an event is kept for later questions, as ``record_payload`` says. Pure."""

from __future__ import annotations

from hookbus.dispatch.task import Task
from hookbus.schemas.secret_values import without_secrets
from hookbus.wire.event import replace_members
from hookbus.wire.input import encode_input


def input_of(task: Task, decision: str) -> bytes | None:
    """Return what goes into the stream of inputs about that decision; None is nothing.

    Dry runs ask again what was asked before, so they are no inputs.
    """
    inbound, snapshot = task.inbound, task.snapshot
    known = snapshot.catalog.get(inbound.event.type)
    wanted = known.settings.record_payload or snapshot.limits.record_payload
    if wanted == "none" or inbound.dry_run:
        return None
    if wanted == "full":
        return encode_input(inbound.principal, decision, (), inbound.body)
    # any other word masks: one that a newer registry may write must not give more away
    data, pointers = without_secrets(inbound.event.data, known.secrets)
    event = replace_members(inbound.body, {"data": data}) if pointers else inbound.body
    return encode_input(inbound.principal, decision, pointers, event)
