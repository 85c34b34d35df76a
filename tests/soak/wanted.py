"""What the operator has said, and so what the next generation must say. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from hookbus.snapshot import ConfigDocument
from tests.soak.behaviour import PLUGINS, TYPE


class Wanted:
    """Settings, modes and removals, each as it was said last."""

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}
        self._modes: dict[tuple[str, str], str] = {}
        self._timed: dict[tuple[str, str], set[str]] = {}
        self._removed: set[str] = set()

    def say(self, operation: str, members: dict[str, Any]) -> None:
        """Take what an operator asked for, once it is done."""
        match operation:
            case "apply":
                self._settings = members["settings"]
            case "mode":
                self._set_mode((members["plugin"], members["hook"]), members)
            case "remove":
                self._removed.add(members["plugin"])
            case "approve":
                self._removed.discard(members["plugin"])

    def _set_mode(self, key: tuple[str, str], members: dict[str, Any]) -> None:
        self._modes.pop(key, None)
        self._timed.pop(key, None)
        if members["mode"] is None:
            return
        if members.get("for_s") is None:
            self._modes[key] = members["mode"]
        else:
            self._timed[key] = {members["mode"]}

    def differences(self, document: ConfigDocument) -> list[str]:
        """Say where a generation is not what was asked for; empty is good."""
        return list(self._differences(document))

    def _differences(self, document: ConfigDocument) -> Iterator[str]:
        bound = {(b.plugin, b.hook): msgspec.to_builtins(b) for b in document.bindings}
        named = {(p, h) for p in PLUGINS if p not in self._removed for h in PLUGINS[p][1]}
        if bound.keys() != named:
            yield f"bound are {sorted(bound)}, expected {sorted(named)}"
        for key in sorted(bound.keys() & named):
            said = dict(self._settings["plugins"][key[0]]["hooks"][key[1]])
            modes = {self._modes.get(key, said.pop("mode", "enforce")), *self._timed.get(key, ())}
            if bound[key]["mode"] not in modes:
                yield f"{key}: mode is {bound[key]['mode']}, expected one of {modes}"
            for name, value in said.items():
                found = bound[key][name]
                if (list(found) if isinstance(found, tuple) else found) != value:
                    yield f"{key}: {name} is {found!r}, expected {value!r}"
        type_ = msgspec.to_builtins(document.types[TYPE])
        for name, value in self._settings["types"][TYPE].items():
            if type_[name] != value and list(type_[name]) != value:
                yield f"{TYPE}: {name} is {type_[name]!r}, expected {value!r}"
