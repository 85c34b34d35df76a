"""`hookbus credentials`: who may do what on a broker with authentication."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus.cli.operating import QUIET, Json, print_json
from hookbus.cli.up.security import SUBFOLDER
from hookbus.config.connection import default_data_dir
from hookbus.identity.folder import CredentialsFolder
from hookbus.identity.permissions import Kind
from hookbus.identity.server_config import User

RELOAD: Final = "nats-server --signal reload=PID"

Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder", metavar="DIR", help="Where they are; default as `hookbus up --secure` has them."
    ),
]
Holder = Annotated[str, typer.Argument(help="Whose credentials.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="List credentials, or make, rotate and revoke them.\n\nExample: hookbus credentials"
    )
    group.callback(invoke_without_command=True)(credentials)
    group.command("create")(create)
    group.command("rotate")(rotate)
    group.command("revoke")(revoke)
    app.add_typer(group, name="credentials")


def credentials(context: typer.Context, folder: Folder = None, as_json: Json = False) -> None:
    """List who has credentials, since when, and with which public key; never a secret.

    Example: hookbus credentials
    """
    if context.invoked_subcommand is not None:
        return
    opened = _open(folder)
    users = opened.users()
    if as_json:
        shown = [_shown(opened, user) for user in users]
        print_json({"v": 1, "account": str(opened.account_file), "credentials": shown})
    else:
        _show(opened, users, Console())


def create(
    kind: Annotated[Kind, typer.Argument(help="What they are for.")],
    name: Annotated[str, typer.Argument(help="The principal; a plugin's is its own name.")],
    plugin: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A plugin that a runner runs.")
    ] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Make credentials: one file for HOOKBUS_CREDS.

    Example: hookbus credentials create plugin guard-tools
    """
    opened = _open(folder)
    _say_changed(opened, "created", opened.create(kind, name, plugin or ()), as_json=as_json)


def rotate(name: Holder, folder: Folder = None, as_json: Json = False) -> None:
    """Give somebody a new key in the same file; the old key ends with the reload.

    Example: hookbus credentials rotate guard-tools
    """
    opened = _open(folder)
    _say_changed(opened, "rotated", opened.rotate(name), as_json=as_json)


def revoke(name: Holder, folder: Folder = None, as_json: Json = False) -> None:
    """Take somebody's rights and delete the file; a connection that is open ends, too.

    Example: hookbus credentials revoke guard-tools
    """
    opened = _open(folder)
    _say_changed(opened, "revoked", opened.revoke(name), as_json=as_json)


def _open(folder: Path | None) -> CredentialsFolder:
    return CredentialsFolder((folder or default_data_dir() / SUBFOLDER).absolute())


def _say_changed(folder: CredentialsFolder, done: str, user: User, *, as_json: bool) -> None:
    if as_json:
        known = {"account": str(folder.account_file), "reload": RELOAD}
        print_json({"v": 1, "done": done, **_shown(folder, user), **known})
        return
    print(f"{done} {user.kind} {user.name}")
    if done != "revoked":
        print(f"  HOOKBUS_CREDS={folder.file_of(user.name)}")
    print(
        "'hookbus up --secure' on this folder knows it at once; for another server, in its\n"
        f'  accounts {{ include "{folder.account_file}" }}\n'
        f"reload: {RELOAD}"
    )


def _shown(folder: CredentialsFolder, user: User) -> dict[str, Any]:
    return {
        "kind": user.kind,
        "name": user.name,
        "principal": user.principal,
        "plugins": list(user.plugins),
        "since": user.since,
        "public_key": user.public_key,
        "file": str(folder.file_of(user.name)),
    }


def _show(folder: CredentialsFolder, users: tuple[User, ...], console: Console) -> None:
    if not users:
        console.print(
            Text(
                "no credentials yet; 'hookbus up --secure' makes those of a local bus, and"
                " 'hookbus credentials create KIND NAME' makes one"
            )
        )
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("KIND", no_wrap=True)
    table.add_column("NAME", overflow="fold")
    table.add_column("SINCE", overflow="fold")
    table.add_column("PUBLIC KEY", overflow="fold", style=QUIET)
    for user in users:
        table.add_row(user.kind, Text(user.name), Text(user.since), Text(user.public_key))
    console.print(table)
    console.print(Text(f"in {folder.path}", QUIET))
