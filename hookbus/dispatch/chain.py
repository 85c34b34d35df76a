"""Loops: events that plugins emit carry the chain of who led to them (R23). Pure."""

from __future__ import annotations

import msgspec

from hookbus.dispatch.aggregate import Objection
from hookbus.snapshot import Snapshot
from hookbus.wire.event import Inbound, replace_members


def with_chain(inbound: Inbound, snapshot: Snapshot) -> Inbound:
    """Add the emitting plugin to the chain, unless it is the last of it already.

    Who emits is known from the principal alone, which the broker binds: the chain that travels
    with the event can only add a Block, never keep a plugin from being asked.
    """
    principal = inbound.principal
    if not snapshot.is_bound(principal) or (inbound.chain and inbound.chain[-1] == principal):
        return inbound
    chain = (*inbound.chain, principal)
    body = replace_members(inbound.body, {"hbchain": ",".join(chain)})
    return msgspec.structs.replace(inbound, chain=chain, body=body)


def too_deep(inbound: Inbound, max_depth: int) -> Objection | None:
    """Object to a chain of more than *max_depth* names."""
    if len(inbound.chain) <= max_depth:
        return None
    return Objection(None, "loop", "max_depth", " > ".join(inbound.chain))
