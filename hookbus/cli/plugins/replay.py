"""`hookbus plugins replay`: show an observer again what was stored since a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from hookbus.cli.moments import parse_since
from hookbus.cli.operating import Json, Name, Url, ask, print_json
from hookbus.cli.printable import clean
from hookbus.operations import request
from hookbus.transport import Transport

Since = Annotated[str, typer.Option(metavar="1h|MOMENT", help="From then on: 30m, 7d, ISO 8601.")]


def replay(
    name: Name,
    since: Since,
    hook: Annotated[
        str | None, typer.Option(metavar="HOOK", help="Only this hook of it; all if not given.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show an observer again all events that were stored since then.

    What it has not handled yet comes as well. Only what somebody observed is stored, unless the
    settings say observe = "always".

    Example: hookbus plugins replay audit-log --since 1h
    """
    moment = parse_since(since, datetime.now(UTC))

    async def change(transport: Transport, who: str) -> dict[str, Any]:
        return await replayed(transport, who, name, moment, hook)

    answer = ask(url, change)
    if as_json:
        print_json(answer)
    else:
        show_replay(name, moment, answer)


async def replayed(
    transport: Transport, who: str, plugin: str, since: datetime, hook: str | None = None
) -> dict[str, Any]:
    """Ask the registry for it."""
    members = {} if hook is None else {"hook": hook}
    return await request(
        transport, who, "replay", plugin=plugin, since=since.isoformat(), **members
    )


def show_replay(name: str, since: datetime, answer: dict[str, Any]) -> None:
    """Say how much comes, and how far back there is anything."""
    for hook in answer["hooks"]:
        said = f"{name}/{clean(hook['hook'])}: {hook['waiting']} events will come"
        print(f"{said}; it was not even there yet" if hook["is_behind"] else said)
    oldest = answer["oldest"]
    if oldest is None:
        print("the stream of observed events is empty")
    elif datetime.fromisoformat(oldest) > since:
        print(f"the stream goes back to {clean(oldest)} only")
    if answer["observe"] == "auto":
        print(
            'while nobody observed a type nothing of it was stored; observe = "always" stores all'
        )
