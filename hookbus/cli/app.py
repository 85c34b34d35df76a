"""Which commands there are. A command's module is imported only when it is called."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer

from hookbus import __version__
from hookbus.cli.errors import FOUND, USAGE, exit_code, fail
from hookbus.cli.streams import drop_output, is_lost_output
from hookbus.errors import HookbusError

#: In the order of the help, with the module that adds each by its `register(app)`.
COMMANDS: Final[Mapping[str, str]] = {
    "demo": "hookbus.cli.demo.command",
    "up": "hookbus.cli.up.command",
    "emit": "hookbus.cli.emit.command",
    "decisions": "hookbus.cli.decisions.command",
    "plugins": "hookbus.cli.plugins.command",
    "dlq": "hookbus.cli.dlq.command",
    "settings": "hookbus.cli.settings.command",
    "types": "hookbus.cli.types.command",
    "credentials": "hookbus.cli.credentials",
    "top": "hookbus.cli.top.command",
    "doctor": "hookbus.cli.doctor.command",
    "test": "hookbus.cli.test.command",
    "conformance": "hookbus.cli.conformance",
    "serve": "hookbus.cli.serve",
}


def run() -> None:
    """Run the command that this process's arguments name, or complete them for a shell."""
    try:
        try:
            make_app(completed(os.environ) or sys.argv[1:])()
        finally:
            sys.stdout.flush()  # what cannot be written must be known while we can still say it
    except HookbusError as e:
        fail(str(e), exit_code(e))
    except OSError as e:
        if not is_lost_output(e):
            raise
        drop_output()
        if e.errno == errno.EPIPE:  # whoever read has what it wanted; Typer ends like this, too
            sys.exit(FOUND)
        fail(f"the output cannot be written: {e.strerror}", USAGE)


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """Make the command line: only the command that is called, or all of them for the help."""
    app = typer.Typer(
        name="hookbus",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    called = arguments[0] if arguments else ""
    for command in (called,) if called in COMMANDS else COMMANDS:
        importlib.import_module(COMMANDS[command]).register(app)
    return app


def completed(environ: Mapping[str, str]) -> list[str]:
    """The words behind ``hookbus`` on the line that a shell wants completed, by Click's protocol.

    Bash hands them over in one variable, the other shells in another. While the first word is
    typed every command must be known.
    """
    if "_HOOKBUS_COMPLETE" not in environ:
        return []
    line = environ.get("_TYPER_COMPLETE_ARGS") or environ.get("COMP_WORDS") or ""
    return line.split()[1:]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hookbus {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show it and exit."),
    ] = False,
) -> None:
    """An event-driven hook bus over NATS.

    Example: hookbus demo
    """
