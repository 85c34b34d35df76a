"""The bundled conversation that `hookbus demo` plays: events, and what should be decided."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import msgspec

from hookbus.cli.render import authors
from hookbus.models import Decision, Outcome

# Characters of what looks like a vendor's key are written as \uXXXX: scanners for secrets that
# read the file must not report it.
_FILE: Final = "conversation.jsonl"


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event of the conversation.

    Attributes:
        thread: which part of the conversation it belongs to.
        expect: the outcome that it should have.
        by: the plugin that should block or change it, None when the outcome is continue.
        label: what it is, in a few words.
    """

    thread: str
    type: str
    data: dict[str, Any]
    expect: Outcome
    by: str | None
    label: str

    def is_met_by(self, decision: Decision) -> bool:
        """Tell whether *decision* is what the label asks for."""
        expected = (self.by,) if self.by else ()
        return decision.outcome == self.expect and authors(decision) == expected


def load_conversation() -> list[Line]:
    """Read the conversation that lies in the wheel beside this module."""
    text = files("hookbus.cli.demo").joinpath(_FILE).read_text(encoding="utf-8")
    return msgspec.json.Decoder(Line).decode_lines(text)
