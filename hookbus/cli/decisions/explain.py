"""`hookbus decisions explain`: one decision in full, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from hookbus import subjects
from hookbus.cli.decisions.explain_view import render
from hookbus.cli.decisions.generations import Generations, generations_from
from hookbus.cli.decisions.next_steps import next_steps
from hookbus.cli.errors import FOUND, UsageError, fail
from hookbus.cli.moments import parse_since
from hookbus.cli.operating import Json, Url, ask, print_json
from hookbus.cli.printable import clean
from hookbus.decision_log.reader import NatsStreamReader, stamp
from hookbus.decision_log.records import Recorded, Reference, ShadowRecord, to_builtins
from hookbus.decision_log.search import Found, Progress, find, shadows
from hookbus.errors import ControlError, TransportError
from hookbus.operations import request
from hookbus.transport import NatsTransport

MAX_ID: Final = 1_000  # characters

_LIKE_UUID: Final = re.compile(r".{8}-.{4}-.{4}-.{4}-.{12}")
_UUID: Final = re.compile(r"[0-9a-fA-F-]{36}")

Match = tuple[str, Recorded]


def explain(
    id: Annotated[str, typer.Argument(help="Of the decision (in short, too), event or trace.")],
    since: Annotated[
        str | None,
        typer.Option(metavar="1h|MOMENT", help="Look through no older records, if need be."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Explain one decision: who, what, why, what changed since, and what to do.

    Of several decisions, the newest is explained and the others are listed; of a failure's own
    trace, the failure. Exit code 1: there is none.

    Example: hookbus decisions explain 01a1ff58-dd41-7752-a3f1-122dd64ab8e4
    """
    reference = Reference(_checked(id))
    begin = None if since is None else parse_since(since, datetime.now(UTC))
    console = Console()

    async def look(transport: NatsTransport, who: str) -> tuple[Found, Explained | None]:
        reader = NatsStreamReader(transport, subjects.DECISIONS_STREAM)
        with _searching(Console(stderr=True), reference) as progress:
            found = await find(reader, reference, progress, begin)
        if not found.count:
            return found, None
        meant, others = found.chosen()
        beside = await shadows(reader, meant)
        return found, Explained(meant, beside, await _generations(transport, who), others)

    found, explained = ask(url, look)
    if explained is None:
        fail(_nothing(reference, found, begin), FOUND)
    if as_json:
        print_json(explained.to_json())
        return
    decision, records = explained.newest.decision, [s.record for s in explained.beside]
    steps = next_steps(decision, explained.generations)
    console.print(render(explained.newest, records, explained.generations, steps, explained.others))


@dataclass(frozen=True, slots=True)
class Explained:
    """All that is known about one decision; *others* are what else the id names."""

    newest: Recorded
    beside: list[ShadowRecord]
    generations: Generations
    others: list[Match]

    def to_json(self) -> dict[str, Any]:
        decision = self.newest.decision
        return {
            **to_builtins(self.newest),
            "shadows": [shadow.record for shadow in self.beside],
            "configuration": self.generations.to_json(decision.generation),
            "next": next_steps(decision, self.generations),
            "others_found": [to_builtins(recorded) for _, recorded in self.others],
        }


def _checked(text: str) -> str:
    """Refuse what can be nobody's id."""
    given = text.strip()
    try:
        given.encode()
    except UnicodeError as e:  # an argument may be any bytes
        raise UsageError(f"ID: expected UTF-8, got {text!a}") from e
    if not given or len(given) > MAX_ID:
        raise UsageError(
            f"ID: expected the id of a decision, event or trace, got {len(given)} characters"
        )
    if _LIKE_UUID.fullmatch(given) and not _UUID.fullmatch(given):
        raise UsageError(
            f"ID: {given!r} is shaped like a UUID, but has other characters than 0-9 and a-f;"
            " was it copied whole?"
        )
    return given


def _nothing(reference: Reference, found: Found, since: datetime | None) -> str:
    """Say what was searched."""
    what = "decision, event or trace" if reference.at else "event or trace"
    name = clean(reference.text)
    if not found.extent.messages:
        return f"no {what} {name!r}: {found.extent.described}; is this the right broker?"
    looked = f"looked at {found.looked_at} records"
    if since is not None:
        looked += f" since {stamp(since)}"
    made = ""
    if reference.at is not None and reference.at < (found.extent.since or reference.at):
        made = f"; its id was made at {stamp(reference.at)}, before what the stream still holds"
    return f"no {what} {name!r}: {looked}; {found.extent.described}{made}"


async def _generations(transport: NatsTransport, who: str) -> Generations:
    """Ask the registry what changed; without an answer the decision can be explained, too."""
    try:
        return generations_from(await request(transport, who, "history"))
    except ControlError as e:
        if e.code == "unknown_operation":
            return Generations(problem="this registry keeps no history")
        return Generations(problem=str(e))
    except TransportError as e:
        return Generations(problem=str(e))


@contextmanager
def _searching(console: Console, reference: Reference) -> Iterator[Progress]:
    """Show how far a search is on a terminal, once it takes long."""
    if not console.is_terminal:
        yield lambda looked_at, of: None
        return
    with console.status("looking for it") as status:
        yield lambda looked_at, of: status.update(f"looked at {looked_at} of {of} records")
