"""`hookbus plugins explain`: would it be asked about such an event now, and if not why?"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus.cli.errors import FOUND, UsageError
from hookbus.cli.operating import QUIET, Json, Name, Url, ask, print_json
from hookbus.cli.payload import read_payload
from hookbus.cli.plugins.asked import (
    NO_DATA,
    HookAnswer,
    PluginAnswer,
    Question,
    UnknownHook,
    View,
    explain,
)
from hookbus.cli.printable import clean, compact, shorten
from hookbus.cli.role_stats import ask_dispatchers
from hookbus.operations import request
from hookbus.subjects import ANONYMOUS
from hookbus.transport import Transport

MAX_VALUE = 60  # characters of a value that are shown

#: asked → (sign, style); the words beside it say the same.
_BADGES: dict[bool | None, tuple[str, str]] = {
    True: ("✓", "green"),
    False: ("✗", "bold red"),
    None: ("?", "yellow"),
}
_SUMMARIES = {
    True: "would be asked about",
    False: "would not be asked about",
    None: "may be asked about",
}


def explain_plugin(
    name: Name,
    type: Annotated[str, typer.Option(help="The event's type, such as tool_invoked.")],
    data: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="The payload; - reads it from stdin.")
    ] = None,
    hook: Annotated[
        str | None, typer.Option(metavar="HOOK", help="Only this hook of it; all if not given.")
    ] = None,
    principal: Annotated[str, typer.Option(help="Who emits it.")] = ANONYMOUS,
    source: Annotated[str, typer.Option(help="The CloudEvents source.")] = "/cli",
    subject: Annotated[str | None, typer.Option(help="The CloudEvents subject.")] = None,
    chain: Annotated[
        str, typer.Option(metavar="A,B", help="Plugins whose handlers led to it (hbchain).")
    ] = "",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Say whether a plugin would be asked about an event now, and if not why.

    Nothing is emitted. Exit codes: 0 it would be asked, 1 not, or that depends on the payload.

    Example: hookbus plugins explain guard-tools --type tool_invoked --data @event.json
    """
    question = Question(
        plugin=name,
        type=type,
        data=NO_DATA if data is None else read_payload(data),
        principal=principal,
        source=source,
        subject=subject,
        chain=tuple(one.strip() for one in chain.split(",") if one.strip()),
        hook=hook,
    )
    view = ask(url, look)
    try:
        answer = explain(view, question)
    except UnknownHook as e:
        raise UsageError(str(e)) from e
    if as_json:
        print_json(answer)
    else:
        _show(answer, Console())
    if answer.asked is not True:
        raise typer.Exit(FOUND)


async def look(transport: Transport, who: str) -> View:
    """Ask the registry and every dispatcher how the bus is."""
    listed = await request(transport, who, "list")
    settings = await request(transport, who, "settings")
    return View(listed, settings, await ask_dispatchers(transport))


def _show(answer: PluginAnswer, console: Console) -> None:
    sign, style = _BADGES[answer.asked]
    said = f"{answer.plugin} {_SUMMARIES[answer.asked]} {answer.type}"
    console.print(Text.assemble((sign, style), " ", (clean(said), "bold")))
    if answer.why is not None:
        console.print(Text(clean(answer.why)))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    table.add_column(overflow="fold", ratio=2)
    for hook in answer.hooks:
        sign, style = _BADGES[hook.asked]
        table.add_row(Text(f"  {sign}", style), Text(clean(hook.hook)), _reasons(hook))
    if answer.hooks:
        console.print(table)
    for note in answer.notes:
        console.print(Text(clean(note), "yellow"))


def _reasons(hook: HookAnswer) -> Text:
    lines = [Text(clean(hook.why))]
    lines += [Text(f"{clean(path)} = {_shown(v)}", QUIET) for path, v in hook.values.items()]
    lines += [Text(clean(note), "yellow") for note in hook.notes]
    return Text("\n").join(lines)


def _shown(value: Any) -> str:
    return "not there" if value is None else shorten(compact(value), MAX_VALUE)
