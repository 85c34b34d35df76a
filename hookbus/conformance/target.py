"""The plugin under test as the bus knows it: its bound hooks, each with a payload to try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from hookbus import subjects
from hookbus.conformance.samples import NoSample, Schema, pick_type, sample
from hookbus.errors import HookbusError
from hookbus.keyvalue import KeyValue
from hookbus.operations import request
from hookbus.snapshot import ConfigDocument, decode_document
from hookbus.transport import Transport


class PluginAbsent(HookbusError):
    """There is no such plugin, or no replica of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One bound hook.

    Attributes:
        type: an event type that it asks for, also where it asks for a pattern.
        data: a payload to try.
        no_data: why there is no payload; empty when there is one.
    """

    plugin: str
    name: str
    type: str
    phase: str
    data: Any = None
    no_data: str = ""
    max_reply_bytes: int = 262_144

    @property
    def subject(self) -> str:
        return subjects.call(self.plugin, self.name)

    def event(self, **attributes: Any) -> dict[str, Any]:
        """An event to ask about. It is a dry run: nothing in the world may change because of us."""
        return {
            "specversion": "1.0",
            "id": "conformance",
            "source": "/hookbus/conformance",
            "type": self.type,
            "hbdryrun": True,
            "data": self.data,
            **attributes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A plugin: what the registry, or the configuration, says of it.

    Attributes:
        is_dispatchers_view: who looks has only a dispatcher's rights, so plugins cannot be asked
            who they are, nor be heard when they announce something.
        problem: why it is not bound, or None.
        replicas: how many answered the registry through the Service API; 0 may mean that none
            speaks it.
    """

    plugin: str
    version: str | None = None
    problem: str | None = None
    generation: int = 0
    replicas: int = 0
    hooks: tuple[Hook, ...] = ()
    is_dispatchers_view: bool = False


async def look_up(transport: Transport, principal: str, plugin: str) -> Target:
    """Ask the registry about *plugin*.

    Raises:
        PluginAbsent: It never announced itself, and the settings do not name it.
        ControlError: There is no registry.
    """
    listed = await request(transport, principal, "list")
    found = next((p for p in listed["plugins"] if p["plugin"] == plugin), None)
    if found is None:
        known = ", ".join(p["plugin"] for p in listed["plugins"]) or "none"
        raise PluginAbsent(f"plugin {plugin!r} is not known to the registry; known are: {known}")
    types = (await request(transport, principal, "types"))["types"]
    schemas: dict[str, Schema] = {each["name"]: each["schema"] for each in types}
    is_bound = found["state"] == "bound"
    return Target(
        plugin=plugin,
        version=found["version"],
        problem=None if is_bound else found["problem"] or "nothing in the settings binds it",
        generation=listed["generation"],
        replicas=len(found["replicas"]),
        hooks=tuple(_hook(plugin, hook, schemas) for hook in found["hooks"]),
    )


async def read_target(config: KeyValue, plugin: str) -> Target:
    """Read about *plugin* what dispatchers know, with their rights alone.

    Raises:
        PluginAbsent: It is not bound, for whatever reason.
        TransportError: The configuration cannot be read.
    """
    entry = await config.get(subjects.CONFIG_KEY)
    document = decode_document(entry.value) if entry is not None else ConfigDocument()
    bindings = [binding for binding in document.bindings if binding.plugin == plugin]
    if entry is None or not bindings:
        bound = ", ".join(sorted({b.plugin for b in document.bindings})) or "none"
        raise PluginAbsent(
            f"plugin {plugin!r} is not bound; bound are: {bound}; 'hookbus plugins' says why"
        )
    schemas: dict[str, Schema] = {name: each.schema for name, each in document.types.items()}
    return Target(
        plugin=plugin,
        version=bindings[0].version,
        generation=entry.revision,
        hooks=tuple(
            _hook(plugin, {"name": b.hook, **msgspec.structs.asdict(b)}, schemas) for b in bindings
        ),
        is_dispatchers_view=True,
    )


def _hook(plugin: str, bound: dict[str, Any], schemas: dict[str, Schema]) -> Hook:
    event_type = pick_type(bound["type"], schemas)
    data, no_data = None, ""
    try:
        data = sample(event_type, schemas.get(event_type))
    except NoSample as e:
        no_data = f"{e}; give one with --hook {bound['name']} --data JSON"
    return Hook(
        plugin=plugin,
        name=bound["name"],
        type=event_type,
        phase=bound["phase"],
        data=data,
        no_data=no_data,
        max_reply_bytes=bound["max_reply_bytes"],
    )
