"""`hookbus test PLUGIN`: its verdict on one event, and what it changes; no bus is needed."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hookbus.cli.errors import BLOCKED_BY_VERDICT, BLOCKED_OTHERWISE, DONE, UsageError, fail
from hookbus.cli.operating import Json, print_json
from hookbus.cli.payload import read_payload
from hookbus.cli.printable import clean
from hookbus.cli.streams import say_error
from hookbus.cli.test.frames import own_frames
from hookbus.cli.test.load import load_plugin
from hookbus.cli.test.trial import Outcome, Wanted, choose_hooks, try_plugin
from hookbus.cli.test.view import show, to_json
from hookbus.loop import run


def register(app: typer.Typer) -> None:
    app.command("test")(examine)


def examine(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A plugin's Python file, or its folder.")
    ],
    type: Annotated[str, typer.Option(help="The event type, such as message_received.")],
    data: Annotated[
        str, typer.Option(metavar="JSON|@FILE|-", help="The payload; - reads it from stdin.")
    ],
    hook: Annotated[
        str | None, typer.Option(metavar="HOOK", help="Only this hook; all for the type if not.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="What becomes plugin.config.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings: its types, and what they say of the plugin."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a plugin's hooks about one event and show verdict and changes; no bus is needed.

    The file is executed, its plugin.run() is not. What the plugin prints goes to stderr. Modes and
    on_failure do not count: every verdict is enforced, and a failure is shown with its traceback.
    Exit codes as of emit: 0 continue or intercept, 2 it cannot be tried (the file, the event, the
    hook), 3 blocked by its verdict, 4 it failed, or blocked for another cause, such as a change
    that does not fit the type.

    Example: hookbus test plugin.py --type message_received --data '{"text": "HELLO"}'
    """
    payload = read_payload(data)
    values = _config(config)
    with contextlib.redirect_stdout(sys.stderr), _logged_to_stderr():
        plugin = load_plugin(path)
        wanted = Wanted(plugin, type, payload, choose_hooks(plugin, type, hook), values, settings)
        try:
            outcome = run(try_plugin(wanted))
        except SystemExit as e:  # it would be this command's own exit code, which is a decision's
            fail(
                f"the handler ended the process (SystemExit: {e}): it has decided nothing",
                BLOCKED_OTHERWISE,
            )
    if as_json:
        print_json(to_json(wanted, outcome))
    else:
        show(wanted, outcome, Console())
    _end(_exit_code(outcome), is_stuck=outcome.is_stuck)


def _config(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    values = read_payload(text, "--config")
    if not isinstance(values, dict):
        raise UsageError(f"--config: expected a JSON object, got {clean(str(values))[:80]}")
    return values


def _exit_code(outcome: Outcome) -> int:
    if outcome.decision.is_blocked:
        by_verdict = outcome.decision.cause == "verdict"
        return BLOCKED_BY_VERDICT if by_verdict else BLOCKED_OTHERWISE
    return BLOCKED_OTHERWISE if any(outcome.observed.values()) else DONE


def _end(code: int, *, is_stuck: bool) -> None:
    if is_stuck:
        # a handler's thread that nobody can stop would keep the interpreter from ending
        sys.stdout.flush()
        os._exit(code)
    raise typer.Exit(code)


@contextlib.contextmanager
def _logged_to_stderr() -> Iterator[None]:
    handler = _Stderr(logging.WARNING)
    # what a dispatcher says of the decision stands on stdout already
    handler.addFilter(lambda record: record.name != "hookbus.decisions")
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


class _Stderr(logging.Handler):
    """Writes what is logged, and of an exception only the frames that the author knows."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            say_error(f"{record.name}: {clean(record.getMessage())}")
            return
        for line in (clean(record.getMessage()), *own_frames(error).splitlines()):
            say_error(line)
