"""`hookbus dlq`: list dead letters, show one, send them again, throw them away."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from rich.console import Console

from hookbus.cli.dlq.view import show_letter, show_letters
from hookbus.cli.errors import FOUND, UsageError, fail
from hookbus.cli.name_group import NameGroup
from hookbus.cli.operating import Json, Url, ask, print_json
from hookbus.cli.printable import clean
from hookbus.cli.streams import say_error
from hookbus.operations import request
from hookbus.transport import Transport

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100_000
PAGE: Final = 100  # letters that the registry tells of at once

_Id = Annotated[int | None, typer.Argument(metavar="ID", help="One letter, as it is listed.")]
_Plugin = Annotated[str | None, typer.Option(metavar="NAME", help="All letters of this plugin.")]
_All = Annotated[bool, typer.Option("--all", help="All letters.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=NameGroup,
        help="List the events that observers could not handle, or show one."
        "\n\nExample: hookbus dlq --plugin audit-log",
    )
    group.callback(invoke_without_command=True)(dlq)
    group.command("retry")(retry)
    group.command("drop")(drop)
    app.add_typer(group, name="dlq")


def dlq(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="A letter, as it is listed.")] = "",
    plugin: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only letters of this plugin.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, max=MAX_LIMIT, help="The oldest N; 0 is all.")
    ] = DEFAULT_LIMIT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the events that observers could not handle, the oldest first; or show one in full.

    What is secret is masked. An event that cannot be handled today is kept for 30 days.

    Example: hookbus dlq 12
    """
    if context.invoked_subcommand is not None:
        return
    if id and plugin is not None:
        raise UsageError("dlq: expected an ID, or --plugin NAME, not both")
    if id:
        _show_one(_number(id), url, as_json=as_json)
        return
    letters, is_cut = ask(url, lambda transport, who: _list(transport, who, plugin, limit))
    if as_json:
        print_json({"letters": letters, "more": is_cut})
    else:
        show_letters(letters, Console())
    if is_cut:
        say_error(f"hookbus: there are more; --limit shows more than {limit}")


def retry(
    id: _Id = None,
    plugin: _Plugin = None,
    every: _All = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Send events again, each to the hook that could not handle it, and to no other.

    What fails again comes back as a letter. A letter stays while no replica is there to take it.
    Exit codes: 0 all were sent, 1 some were not.

    Example: hookbus dlq retry --plugin audit-log
    """
    answers = _change("dlq_retry", id, plugin, url, every=every)
    retried = [identity for answer in answers for identity in answer["retried"]]
    left = [one for answer in answers for one in answer["left"]]
    if as_json:
        print_json({"retried": retried, "left": left})
    elif retried:
        print(f"sent again: {_letters(len(retried))}; what fails again: 'hookbus dlq'")
    elif not left:
        print(f"no dead letters{f' of {clean(plugin)}' if plugin else ''}: nothing was sent")
    if left:
        reasons = dict.fromkeys(clean(one["why"]) for one in left)
        fail(f"{_letters(len(left))} not sent: {'; '.join(reasons)}", FOUND)


def drop(
    id: _Id = None,
    plugin: _Plugin = None,
    every: _All = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Throw letters away; nobody can send these events again.

    Example: hookbus dlq drop 12
    """
    answers = _change("dlq_drop", id, plugin, url, every=every)
    dropped = [identity for answer in answers for identity in answer["dropped"]]
    if as_json:
        print_json({"dropped": dropped})
    else:
        print(f"dropped: {_letters(len(dropped))}")


def _change(
    operation: str, id: int | None, plugin: str | None, url: str | None, *, every: bool
) -> list[dict[str, Any]]:
    """Ask page by page; return the answers."""
    said = {"id": id, "plugin": plugin, "all": every or None}
    members = {member: value for member, value in said.items() if value is not None}
    if len(members) != 1:
        verb = operation.replace("_", " ")
        raise UsageError(f"{verb}: expected one of an ID, --plugin NAME and --all")

    async def change(transport: Transport, who: str) -> list[dict[str, Any]]:
        answers = [await request(transport, who, operation, **members)]
        while answers[-1]["next"] is not None:
            place = {"after": answers[-1]["next"], "until": answers[-1]["until"]}
            answers.append(await request(transport, who, operation, **place, **members))
        return answers

    return ask(url, change)


async def _list(
    transport: Transport, who: str, plugin: str | None, limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """Return the oldest letters, and whether there are more."""
    letters: list[dict[str, Any]] = []
    members: dict[str, Any] = {} if plugin is None else {"plugin": plugin}
    while True:
        most = min(PAGE, limit - len(letters)) if limit else PAGE
        page = await request(transport, who, "dlq", n=most, **members)
        letters += page["letters"]
        if page["next"] is None or len(letters) == limit > 0:
            return letters, page["next"] is not None
        members["after"] = page["next"]


def _show_one(id: int, url: str | None, *, as_json: bool) -> None:
    answer = ask(url, lambda transport, who: request(transport, who, "dlq", id=id))
    [letter] = answer["letters"]
    if as_json:
        print_json(letter)
    else:
        show_letter(letter, Console())


def _number(id: str) -> int:
    if not (id.isascii() and id.isdigit() and len(id) < 20):
        raise UsageError(f"dlq: expected a letter's number, retry or drop, got {id!r}")
    return int(id)


def _letters(count: int) -> str:
    return f"{count} letter" if count == 1 else f"{count} letters"
