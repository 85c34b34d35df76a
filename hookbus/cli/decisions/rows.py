"""Recorded decisions as lines of a list: when, what, about what, by whom and why. Pure."""

from __future__ import annotations

from datetime import date
from typing import Final

from rich.text import Text

from hookbus.cli.printable import shorten
from hookbus.cli.render import BADGES, authors
from hookbus.decision_log.records import UUID_LENGTH, Recorded, short_id
from hookbus.models import Decision

QUIET: Final = "dim"
TYPE_WIDTH: Final = 15
SOURCE_WIDTH: Final = 9
SHORT_ID: Final = 19  # columns
WIDE: Final = 110  # columns from which on there is room for the whole id

_BEFORE_REASON: Final = len("00:00:00 ") + len("intercept ") + TYPE_WIDTH + SOURCE_WIDTH + 2


class Rows:
    """Makes the lines of one list; each day and the first line have a heading."""

    def __init__(self, width: int) -> None:
        self._id_width = UUID_LENGTH if width >= WIDE else SHORT_ID
        self._reason_width = max(8, width - _BEFORE_REASON - self._id_width - 1)
        self._day: date | None = None

    def lines(self, recorded: Recorded) -> list[Text]:
        """Return the line of one decision, below the heading of its day if that is another."""
        row = self._row(recorded)
        if recorded.at.date() == self._day:
            return [row]
        is_first = self._day is None
        self._day = recorded.at.date()
        day = Text(f"{self._day.isoformat()} (UTC)", "bold")
        return [*([self._heading()] if is_first else []), day, row]

    def _heading(self) -> Text:
        words = ("time".ljust(8), "outcome".ljust(9), "type".ljust(TYPE_WIDTH))
        why = "by and reason".ljust(self._reason_width)
        line = " ".join((*words, "source".ljust(SOURCE_WIDTH), why, "id"))
        return Text(line, QUIET, overflow="crop", no_wrap=True)

    def _row(self, recorded: Recorded) -> Text:
        decision = recorded.decision
        reference = decision.id if self._id_width == UUID_LENGTH else short_id(decision.id)
        line = Text(overflow="crop", no_wrap=True)
        line.append(f"{recorded.at:%H:%M:%S} ", QUIET)
        line.append(f"{decision.outcome:9} ", BADGES[decision.outcome][1])
        line.append(_cell(decision.event.type, TYPE_WIDTH) + " ")
        line.append(_cell(decision.event.source, SOURCE_WIDTH) + " ", QUIET)
        line.append(_cell(why(decision), self._reason_width) + " ")
        return line.append(shorten(reference, self._id_width), QUIET)


def why(decision: Decision) -> str:
    """Say in a few words who made the outcome what it is, and why."""
    dry = "dry run" if decision.dry_run else ""
    failed = dict.fromkeys(r.plugin for r in decision.records if r.resolution == "failed_open")
    if decision.outcome == "block":
        said = [decision.reason or decision.cause or ""]
    else:
        open_failures = f"failed open: {', '.join(failed)}" if failed else ""
        said = [", ".join(authors(decision)), open_failures]
    return "; ".join(part for part in (dry, *said) if part)


def _cell(text: str, width: int) -> str:
    short = Text(shorten(text, width))
    short.truncate(width, pad=True)  # a wide character takes two columns
    return short.plain
