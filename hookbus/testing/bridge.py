"""Emitters for the code under test: they reach a bus that runs on another thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from hookbus.config.connection import DEFAULT_NATS_URL
from hookbus.emitter import Emitter
from hookbus.message import Message
from hookbus.sync_emitter import Emits, SyncEmitter, Work
from hookbus.testing.bus_thread import BusThread
from hookbus.transport import Transport


class Bridge:
    """Requests of any event loop, sent over a connection of the bus's."""

    def __init__(self, thread: BusThread, transport: Transport) -> None:
        self._thread = thread
        self._transport = transport

    @property
    def is_connected(self) -> bool:
        return self._transport.is_connected

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        asked = self._transport.request(subject, data, timeout=timeout, headers=headers)
        return await asyncio.wrap_future(self._thread.submit(asked))


class BridgedSyncEmitter(SyncEmitter):
    """A SyncEmitter without a connection of its own."""

    def __init__(self, thread: BusThread, emitter: Emitter, **options: Any) -> None:
        super().__init__(DEFAULT_NATS_URL, **options)  # which is never connected to
        self._bus = thread
        self._emitter = emitter

    def _call(self, work: Callable[[Emits], Work[Any]], seconds: float) -> Any:
        return self._bus.run(work(self._emitter), seconds)
