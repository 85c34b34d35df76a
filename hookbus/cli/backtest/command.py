"""`hookbus plugins backtest`: what would a new version have said about what really happened?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from hookbus import subjects
from hookbus.cli.backtest.replay import Replay, Wanted
from hookbus.cli.backtest.tally import Tally
from hookbus.cli.backtest.trial import Trial, trial_of
from hookbus.cli.backtest.view import show
from hookbus.cli.errors import UNDECIDED, UsageError, fail
from hookbus.cli.moments import parse_since
from hookbus.cli.operating import Json, Url, ask, print_json, wait_served
from hookbus.cli.printable import clean
from hookbus.decision_log.reader import NatsStreamReader
from hookbus.errors import PublishDenied
from hookbus.operations import request
from hookbus.transport import NatsTransport

BACKTESTER: Final = "backtester"
DEFAULT_LIMIT: Final = 10_000
DEFAULT_RATE: Final = 100.0  # events a second
MAX_RATE: Final = 10_000.0


def backtest(
    candidate: Annotated[str, typer.Argument(help="The plugin that is tried out.")],
    since: Annotated[
        str, typer.Option(metavar="1h|MOMENT", help="Inputs from then on: 30m, 7d, or ISO 8601.")
    ],
    type: Annotated[str | None, typer.Option(help="Only events of this type.")] = None,
    rate: Annotated[
        float, typer.Option(min=0.1, max=MAX_RATE, metavar="N", help="At most N events a second.")
    ] = DEFAULT_RATE,
    limit: Annotated[
        int, typer.Option(min=0, help="At most N inputs, the oldest first; 0 is all.")
    ] = DEFAULT_LIMIT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Ask a candidate about recorded events, and compare it with the plugin beside which it runs.

    Each recorded input is emitted again as a dry run, under an id and the principal of its own;
    observers hear nothing of it. The inputs are what record_payload kept of them.

    Exit codes: 0 both said the same, 1 something differs, 2 it cannot be compared, 5 nothing could
    be asked.

    Example: hookbus plugins backtest redact-secrets--next --since 1h
    """
    if type is not None and not subjects.is_event_type(type):
        raise UsageError(f"--type: expected an event type such as tool_invoked, got {type!r}")
    wanted = Wanted(parse_since(since, datetime.now(UTC)), type, limit, rate)
    tally, trials = Tally(), list[Trial]()

    async def run(transport: NatsTransport, who: str) -> None:
        listed = await request(transport, who, "list")
        trial = trial_of(listed, candidate)
        await wait_served(transport, who, listed["generation"])
        trials.append(trial)
        reader = NatsStreamReader(transport, subjects.INPUTS_STREAM)
        started = time.monotonic()
        try:
            with _progress(tally) as progress:
                await Replay(transport, reader, who, trial, wanted, tally, progress).run()
        except PublishDenied as e:
            raise PublishDenied(
                f"{e}; inputs are payloads, and not everybody's to read: take the credentials of a"
                " backtester ('hookbus credentials create backtester NAME')"
            ) from e
        finally:
            tally.seconds = time.monotonic() - started

    try:
        ask(url, run, who=BACKTESTER)
    except KeyboardInterrupt:
        tally.is_interrupted = True
        raise
    finally:
        if trials and (tally.inputs or tally.is_interrupted):
            _print(trials[0], tally, as_json=as_json)
    if not tally.inputs:
        fail(_no_inputs(trials[0], since, type), UNDECIDED)
    raise typer.Exit(tally.exit_code)


def _print(trial: Trial, tally: Tally, *, as_json: bool) -> None:
    if as_json:
        names = {"v": 1, "candidate": trial.candidate, "incumbent": trial.incumbent}
        print_json({**names, **tally.to_json()})
    else:
        show(trial, tally, Console())


def _no_inputs(trial: Trial, since: str, event_type: str | None) -> str:
    if event_type and not trial.is_about(event_type):
        asks = ", ".join(dict.fromkeys(binding.type for binding in trial.candidates))
        return f"{trial.candidate} does not ask for {event_type}; it asks for {clean(asks)}"
    name = event_type or "TYPE"
    return (
        f"no input of {event_type or 'a type that it asks for'} was recorded since {since};"
        f" 'hookbus types {name}' says whether any is: its record_payload must be masked or full"
    )


@contextmanager
def _progress(tally: Tally) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    columns = TextColumn("{task.fields[inputs]} inputs"), BarColumn(), TimeElapsedColumn()
    differ = TextColumn("{task.fields[differ]} differ")
    with Progress(*columns, differ, console=console) as bar:
        task = bar.add_task("", total=None, inputs=0, differ=0)

        def tell(done: int, total: int) -> None:
            differ = len(tally.differences)
            bar.update(task, completed=done, total=total, inputs=tally.inputs, differ=differ)

        yield tell
