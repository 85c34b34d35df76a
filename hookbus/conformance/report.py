"""What a check saw, and what all checks of a plugin or an emitter came to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import msgspec

Status: TypeAlias = Literal["pass", "fail", "warn", "skipped"]


@dataclass(frozen=True, slots=True)
class Seen:
    """How one check ended, and in a sentence what was seen."""

    status: Status
    text: str


def passed(text: str) -> Seen:
    return Seen("pass", text)


def failed(text: str) -> Seen:
    return Seen("fail", text)


def warned(text: str) -> Seen:
    return Seen("warn", text)


def skipped(text: str) -> Seen:
    return Seen("skipped", text)


class Finding(msgspec.Struct, frozen=True):
    """One point of the protocol and how it is kept.

    Attributes:
        hook: None when it is about the whole plugin, or about an emitter.
        seen: what was seen, in a sentence.
        rule: what the protocol says.
    """

    point: str
    hook: str | None
    status: Status
    seen: str
    rule: str


class Report(msgspec.Struct, frozen=True):
    """All findings about one plugin or emitter, in the order of the checks.

    Attributes:
        name: the plugin's, or the command that runs the emitter.
        version: of a plugin, as far as the registry knows it.
    """

    name: str
    version: str | None
    findings: tuple[Finding, ...]
    kind: Literal["plugin", "emitter"] = "plugin"

    @property
    def is_conforming(self) -> bool:
        """Nothing failed; warnings and what was skipped do not count."""
        return all(finding.status != "fail" for finding in self.findings)

    @property
    def counts(self) -> dict[Status, int]:
        found = [finding.status for finding in self.findings]
        return {status: found.count(status) for status in get_args(Status)}

    def to_json(self) -> dict[str, Any]:
        return {
            self.kind: self.name,
            "version": self.version,
            "conforms": self.is_conforming,
            "counts": self.counts,
            "findings": msgspec.to_builtins(self.findings),
        }
