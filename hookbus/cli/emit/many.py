"""`hookbus emit --from`: send the events of a file, many at a time, and count what is decided."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from hookbus import subjects
from hookbus.cli.emit.line_input import MAX_LINE, LineInput
from hookbus.cli.emit.tally import EmitTally, render_tally
from hookbus.cli.operating import ask, print_json
from hookbus.cli.printable import clean, shorten
from hookbus.cli.streams import say_error
from hookbus.emitter import Emitter
from hookbus.errors import InvalidEvent, InvalidOption, TransportError, Unavailable
from hookbus.models import Decision
from hookbus.transport import NatsTransport
from hookbus.wire.limits import NOT_JSON

MAX_SAID: Final = 20  # problems that are said one by one
MAX_PROBLEM: Final = 300  # characters


@dataclass(frozen=True, slots=True)
class Sending:
    """How events are to be sent.

    Attributes:
        timeout: seconds for each event; None leaves it to the line, else to the bus.
        keeps_ids: as they are in the file; otherwise the bus would give each its old decision.
        with_data: decisions are printed with the payload to use.
    """

    source: str
    timeout: float | None = None
    is_dry_run: bool = False
    keeps_ids: bool = False
    concurrency: int = 16
    as_json: bool = False
    with_data: bool = False


def emit_many(url: str | None, name: str, sending: Sending) -> int:
    """Send every event of the file *name* (``-`` is stdin); return the exit code.

    The summary is printed after ctrl-C, too.
    """
    tally = EmitTally()
    started = time.monotonic()

    async def send(transport: NatsTransport, principal: str) -> None:
        lines = LineInput(name)
        emitter = Emitter(transport, source=sending.source, principal=principal, timeout=None)
        with _progress(lines, tally) as say:
            await _Sender(emitter, sending, tally, say).run(lines)

    try:
        ask(url, send, who=subjects.ANONYMOUS)
    except KeyboardInterrupt:
        tally.is_interrupted = True
        raise
    finally:
        tally.seconds = time.monotonic() - started
        if tally.lines or tally.is_interrupted:
            Console(stderr=sending.as_json).print(render_tally(tally))
    return tally.exit_code


@dataclass(slots=True)
class _Sender:
    emitter: Emitter
    sending: Sending
    tally: EmitTally
    say: Callable[[str], None]
    said: int = field(default=0)

    async def run(self, lines: LineInput) -> None:
        """Send with as many at a time as were asked for; each waits for its decision."""
        waiting: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(self.sending.concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.sending.concurrency):
                    group.create_task(self._work(waiting))
                async with aclosing(lines.lines()) as found:
                    async for line in found:
                        await waiting.put(line)
                for _ in range(self.sending.concurrency):
                    await waiting.put(None)
        except* OSError as group_error:  # the output has gone: each of them met that
            lost: BaseException = group_error
            while isinstance(lost, BaseExceptionGroup):
                lost = lost.exceptions[0]
            raise lost from None

    async def _work(self, waiting: asyncio.Queue[tuple[int, bytes] | None]) -> None:
        while (line := await waiting.get()) is not None:
            await self._send(*line)

    async def _send(self, number: int, line: bytes) -> None:
        try:
            event_type, data, attributes = self._event(line)
            started = time.monotonic()
            decision = await self.emitter.emit(
                event_type,
                data,
                timeout=self.sending.timeout,
                dry_run=self.sending.is_dry_run,
                **attributes,
            )
        except (InvalidEvent, InvalidOption, TypeError) as e:
            self.tally.bad_lines += 1
            self._problem(number, str(e))
        except (Unavailable, TransportError) as e:
            code = e.code if isinstance(e, Unavailable) else "denied"
            self.tally.undecided[code] += 1
            self._problem(number, str(e))
        else:
            self.tally.add(decision, (time.monotonic() - started) * 1000)
            if self.sending.as_json:
                self._print(number, decision)

    def _event(self, line: bytes) -> tuple[str, Any, dict[str, Any]]:
        """Take a line apart: type, data and the attributes that go with it.

        Raises:
            InvalidEvent: It is no event.
        """
        if len(line) > MAX_LINE:
            raise InvalidEvent(f"expected at most {MAX_LINE} bytes")
        try:
            event = msgspec.json.decode(line)
        except NOT_JSON as e:
            raise InvalidEvent(f"expected JSON: {e}") from e
        if not isinstance(event, dict) or "type" not in event or "data" not in event:
            raise InvalidEvent(
                'expected an object such as {"type": "message_received", "data": {"text": "hi"}}'
            )
        event_type, data = event.pop("type"), event.pop("data")
        event.pop("specversion", None)
        if not self.sending.keeps_ids:
            event.pop("id", None)
        if self.sending.timeout is not None:
            event.pop("hbtimeoutms", None)
        return event_type, data, event

    def _print(self, number: int, decision: Decision) -> None:
        if not self.sending.with_data:
            decision = msgspec.structs.replace(decision, data=msgspec.UNSET)
        print_json({"line": number, **msgspec.to_builtins(decision)})

    def _problem(self, number: int, problem: str) -> None:
        self.said += 1
        if self.said <= MAX_SAID:
            self.say(f"line {number}: {shorten(problem, MAX_PROBLEM)}")
        elif self.said == MAX_SAID + 1:
            self.say("there are more; they are only counted")


@contextmanager
def _progress(lines: LineInput, tally: EmitTally) -> Iterator[Callable[[str], None]]:
    """Show a bar on a terminal; yield how a line is said beside it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: say_error(f"hookbus: {clean(text)}")
        return
    columns = TextColumn("{task.fields[done]} lines"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, TextColumn("{task.fields[blocked]} blocked"), console=console) as bar:
        task = bar.add_task("", total=lines.size, done=0, blocked=0)

        async def show() -> None:
            while True:
                blocked = tally.outcomes["block"]
                bar.update(task, completed=lines.read, done=tally.lines, blocked=blocked)
                await asyncio.sleep(0.1)

        showing = asyncio.get_running_loop().create_task(show())
        try:
            yield lambda text: bar.console.print(Text(f"hookbus: {clean(text)}"), soft_wrap=True)
        finally:
            showing.cancel()
            bar.update(task, completed=lines.read, done=tally.lines)
