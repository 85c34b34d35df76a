"""Shadow plugins: asked beside their stage, never awaited, only recorded (R15)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from hookbus.dispatch.aggregate import Asked, record_of
from hookbus.dispatch.asking import Asking
from hookbus.dispatch.masking import masked_record
from hookbus.dispatch.payload import Payload
from hookbus.dispatch.recorder import Recorder
from hookbus.dispatch.task import Task
from hookbus.log_line import LogLine
from hookbus.measures import Counters
from hookbus.models import PluginRecord
from hookbus.runtimes.base import Allowance
from hookbus.schemas.secret_values import secrets_in
from hookbus.snapshot import Binding

MAX_IN_FLIGHT: Final = 256  # shadow calls; they are shed before anything else

log = logging.getLogger(__name__)


class Shadows:
    """Asks shadow plugins on tasks of their own; their results never reach a decision."""

    def __init__(self, asking: Asking, recorder: Recorder, counters: Counters) -> None:
        self._asking = asking
        self._recorder = recorder
        self._counters = counters
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, task: Task, binding: Binding, payload: Payload) -> None:
        """Ask one plugin on its stage's input, with its own timeout and not the event's budget."""
        if len(self._running) >= MAX_IN_FLIGHT:
            self._counters.count("shadow_shed")
            return
        asking = asyncio.get_running_loop().create_task(self._ask(task, binding, payload))
        self._running.add(asking)
        asking.add_done_callback(self._running.discard)

    async def finish(self) -> None:
        """Wait for what runs; each has its plugin's timeout."""
        while self._running:
            await asyncio.wait(self._running)

    async def _ask(self, task: Task, binding: Binding, payload: Payload) -> None:
        allowance = Allowance(binding.timeout, is_shortened=False, cap=binding.timeout)
        try:
            [asked] = await self._asking.ask(task, [(binding, allowance)], payload)
            if _was_meant(asked) or task.inbound.dry_run:  # which asks why it was not asked, too
                self._recorder.shadow(task, _without_secrets(task, asked, payload))
                if asked.answer.verdict == "block":
                    self._counters.count("shadow_blocks")
        except Exception:
            # a shadow's failures never matter to anybody's decision
            fields = {"plugin": binding.plugin, "decision_id": task.decision_id}
            log.exception(LogLine("shadow_failed", fields), extra=fields)


def _without_secrets(task: Task, asked: Asked, payload: Payload) -> PluginRecord:
    """Write the record; what it saw or would have written is not quoted in it (R28)."""
    paths = task.snapshot.catalog.get(task.inbound.event.type).secrets
    payloads = [payload, asked.change.payload] if asked.change else [payload]
    found = [value for each in payloads for _, value in secrets_in(each.data, paths)]
    resolution = "discarded" if _was_meant(asked) else "skipped"
    return masked_record(record_of(asked, resolution), found)


def _was_meant(asked: Asked) -> bool:
    """It was asked or should have been: neither skipped nor spared by a dry run."""
    return asked.answer.verdict is not None or asked.answer.failure is not None
