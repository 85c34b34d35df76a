"""All checks of one emitter, in order."""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from hookbus import subjects
from hookbus.broker import EmbeddedBroker
from hookbus.conformance.check import Check, run_checks
from hookbus.conformance.emitters.command import Command
from hookbus.conformance.emitters.decisions import DECISIONS
from hookbus.conformance.emitters.events import AFTERWARDS, EVENTS
from hookbus.conformance.emitters.stage import Emitter, Stage
from hookbus.conformance.report import Report
from hookbus.transport import NatsTransport

EMITTER_CHECKS: Final[Sequence[Check[Stage]]] = (*EVENTS, *DECISIONS, *AFTERWARDS)

DEFAULT_TYPE: Final = "message_received"
DEFAULT_DATA: Final = {"text": "hi", "user": "u1"}


async def examine_emitter(
    words: Sequence[str], event_type: str = DEFAULT_TYPE, data: Any = DEFAULT_DATA
) -> Report:
    """Check the emitter that the command *words* runs, on a broker that is started for it.

    The command is run some 27 times, each time with the event's type and its data (JSON) as its
    last two arguments, and ``HOOKBUS_NATS_URL``.

    Raises:
        BrokerError: The broker cannot be started.
        OSError: The command cannot be started.
    """
    return await examine_run_by(
        lambda url: Command(words, url), shlex.join(words), event_type, data
    )


async def examine_run_by(
    make: Callable[[str], Emitter],
    name: str,
    event_type: str = DEFAULT_TYPE,
    data: Any = DEFAULT_DATA,
) -> Report:
    """Check what *make* gives for the URL of a broker that is started for it.

    Raises:
        BrokerError: The broker cannot be started.
    """
    with (
        tempfile.TemporaryDirectory(prefix="hookbus-conformance-") as folder,
        EmbeddedBroker.start(data_dir=Path(folder) / "nats") as broker,
    ):
        transport = await NatsTransport.connect(broker.url, principal=subjects.DISPATCHER_QUEUE)
        stage = Stage(
            transport,
            make(broker.url),
            event_type,
            data,
            lambda: asyncio.to_thread(broker.stop),
        )
        try:
            findings = await run_checks(stage, EMITTER_CHECKS)
        finally:
            await transport.close()
    return Report(name, None, tuple(findings), "emitter")
