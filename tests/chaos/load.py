"""64 events in flight all the time, each judged; and operators who ask beside them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from hookbus.emitter import Emitter
from hookbus.errors import ControlError, HookbusError
from hookbus.models import Decision
from hookbus.operations import request
from hookbus.transport import Message, NatsTransport
from hookbus.wire.decision import decode_decision
from tests.chaos.answers import TYPE, data_of, found, wanted

IN_FLIGHT: Final = 64
TIMEOUT: Final = 2.0  # seconds for an event, and for an operator's question
ASKING: Final = 4  # operators
QUESTION: Final = "settings"
PAUSE: Final = 0.05  # seconds between an operator's questions
TICK: Final = 0.01  # seconds between two looks at how late the loop is


class _Event(msgspec.Struct):
    id: str


class _Call(msgspec.Struct):
    event: _Event


_decode_call = msgspec.json.Decoder(_Call).decode
numbers = itertools.count()  # for the whole process: no event comes twice


@dataclass(slots=True)
class Asked:
    """One emit or question: times on the monotonic clock, and why it has no answer."""

    name: str
    started: float
    ended: float = 0.0
    lost: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@dataclass(slots=True)
class Load:
    """What was asked, what came of it, and what the bus said of it on the side."""

    emits: list[Asked] = field(default_factory=list)
    questions: list[Asked] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    #: By event id: the dispatchers that asked a plugin about it.
    asked_by: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    records: defaultdict[str, list[Decision]] = field(default_factory=lambda: defaultdict(list))
    in_flight: set[str] = field(default_factory=set)
    #: How late this process's own loop was at worst, in seconds: no answer can be seen earlier.
    lag: float = 0.0

    @property
    def lost(self) -> list[Asked]:
        return [one for one in (*self.emits, *self.questions) if one.lost]

    def check_records(self) -> None:
        """Every decision must be recorded once, as the emitter got it (R28)."""
        for decision in self.decisions:
            expected = [msgspec.structs.replace(decision, data=msgspec.UNSET)]
            if (recorded := self.records[decision.event.id]) != expected:
                self.wrong.append(f"event {decision.event.id}: recorded as {recorded}")
        twice = [one for one, n in Counter(d.event.id for d in self.decisions).items() if n > 1]
        self.wrong += [f"event {one}: decided twice" for one in twice]


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Load]:
    """Keep the load up; at the end everything that was asked has ended."""
    load = Load()
    stopped = asyncio.Event()
    watching = await NatsTransport.connect(url)
    operator = await NatsTransport.connect(url, principal="ops")
    await _watch(watching, load)
    async with Emitter.connect(url, source="/load", timeout=TIMEOUT) as bus:
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(IN_FLIGHT):
                    tasks.create_task(_until(stopped, lambda: _emit(bus, load)))
                for _ in range(ASKING):
                    tasks.create_task(_until(stopped, lambda: _ask(operator, load)))
                tasks.create_task(_until(stopped, lambda: _tick(load)))
                try:
                    yield load
                finally:
                    stopped.set()
            await watching.flush()  # the records of what was decided have come
        finally:
            await watching.close()
            await operator.close()
    load.check_records()


async def _until(stopped: asyncio.Event, do: Callable[[], Awaitable[None]]) -> None:
    while not stopped.is_set():
        await do()


async def _emit(bus: Emitter, load: Load) -> None:
    number = next(numbers)
    one = Asked(str(number), time.monotonic())
    load.emits.append(one)
    load.in_flight.add(one.name)
    try:
        decision = await bus.emit(TYPE, data_of(number), id=one.name)
    except HookbusError as e:
        one.lost = f"{type(e).__name__}: {e}"
    else:
        load.decisions.append(decision)
        if (got := found(decision)) != wanted(number):
            load.wrong.append(f"expected {wanted(number)}, got {got}")
    finally:
        one.ended = time.monotonic()
        load.in_flight.discard(one.name)


async def _ask(operator: NatsTransport, load: Load) -> None:
    one = Asked(QUESTION, time.monotonic())
    load.questions.append(one)
    try:
        async with asyncio.timeout(TIMEOUT):
            await request(operator, "ops", QUESTION)
    except ControlError as e:
        if e.code == "no_registry":
            one.lost = str(e)
        else:
            load.wrong.append(f"{QUESTION}: {e.code}: {e}")
    except (HookbusError, TimeoutError) as e:
        one.lost = f"{type(e).__name__}: {e}"
    one.ended = time.monotonic()
    await asyncio.sleep(PAUSE)


async def _tick(load: Load) -> None:
    due = time.monotonic() + TICK
    await asyncio.sleep(TICK)
    load.lag = max(load.lag, time.monotonic() - due)


async def _watch(transport: NatsTransport, load: Load) -> None:
    """Listen to what dispatchers ask and record; the load's own reply subjects say who asks."""

    def on_call(message: Message) -> None:
        dispatcher = message.reply.split(".")[2]
        load.asked_by[_decode_call(message.data).event.id].add(dispatcher)

    def on_record(message: Message) -> None:
        record = decode_decision(message.data)
        load.records[record.event.id].append(record)

    await transport.subscribe("hookbus.call.>", on_call)
    await transport.subscribe("hookbus.decision.>", on_record)
    await transport.flush()
