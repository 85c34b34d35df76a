"""All that one look at the bus finds; only questions are asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from hookbus import subjects
from hookbus.cli.role_stats import DispatcherStats, RegistryStats, ask_dispatchers, ask_registries
from hookbus.errors import HookbusError, NoResponders, PublishDenied
from hookbus.operations import request
from hookbus.transport import Transport
from hookbus.wire.limits import NOT_JSON

API_TIMEOUT: Final = 2.0  # seconds for an answer of the JetStream API
SETTLE: Final = 0.5  # seconds that a dispatcher may be behind

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BusView:
    """What was found.

    Attributes:
        listed, settings: the registry's answers, None if it gave none: *refusal* says why.
        is_denied: because these credentials may not ask.
        account: JetStream's answer about the account; None: it may not be asked.
        is_jetstream_on: None if that cannot be told.
        streams: by name, JetStream's answer; None: it may not be asked.
        broker_ahead: seconds that the broker's clock is ahead of ours; None: not known.
    """

    max_payload: int
    registries: tuple[RegistryStats, ...] = ()
    dispatchers: tuple[DispatcherStats, ...] = ()
    listed: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    refusal: str = ""
    is_denied: bool = False
    account: dict[str, Any] | None = None
    is_jetstream_on: bool | None = None
    streams: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    broker_ahead: float | None = None


async def look(transport: Transport, who: str) -> BusView:
    """Ask the roles, and JetStream about itself.

    Raises:
        Disconnected: The connection was lost meanwhile.
    """
    listed, settings, refused = await _ask_registry(transport, who)
    dispatchers = await _those_who_answer(ask_dispatchers(transport))
    generation = listed["generation"] if listed else 0
    if any(stats.generation < generation for stats in dispatchers):
        await asyncio.sleep(SETTLE)
        dispatchers = await _those_who_answer(ask_dispatchers(transport))
    account, is_on = await _ask_account(transport)
    streams, ahead = {}, None
    for name in subjects.STREAM_SUBJECTS if is_on is not False else ():
        before = time.time()
        streams[name] = await _api(transport, f"STREAM.INFO.{name}")
        said = _timestamp(streams[name])
        if said is not None:
            ahead = said - (before + time.time()) / 2
    return BusView(
        max_payload=transport.max_payload,
        registries=await _those_who_answer(ask_registries(transport)),
        dispatchers=dispatchers,
        listed=listed,
        settings=settings,
        refusal=str(refused or ""),
        is_denied=isinstance(refused, PublishDenied),
        account=account,
        is_jetstream_on=is_on,
        streams=streams,
        broker_ahead=ahead,
    )


async def _ask_registry(
    transport: Transport, who: str
) -> tuple[dict[str, Any] | None, dict[str, Any] | None, HookbusError | None]:
    try:
        listed = await request(transport, who, "list")
        return listed, await request(transport, who, "settings"), None
    except HookbusError as e:
        return None, None, e


async def _those_who_answer(asking: Awaitable[tuple[T, ...]]) -> tuple[T, ...]:
    try:
        return await asking
    except PublishDenied:  # these credentials may not ask
        return ()


async def _ask_account(transport: Transport) -> tuple[dict[str, Any] | None, bool | None]:
    """Ask JetStream about the account, and tell whether it is on."""
    try:
        reply = await transport.request("$JS.API.INFO", b"", timeout=API_TIMEOUT)
    except NoResponders:
        return None, False
    except HookbusError:  # these credentials may not ask; the streams may still be asked for
        return None, None
    answer = _object(reply.data)
    is_off = answer is not None and "error" in answer  # 10039: not for this account
    return (None, False) if is_off else (answer, True)


async def _api(transport: Transport, call: str) -> dict[str, Any] | None:
    try:
        reply = await transport.request(f"$JS.API.{call}", b"", timeout=API_TIMEOUT)
    except HookbusError:
        return None
    return _object(reply.data)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = msgspec.json.decode(body)
    except NOT_JSON:
        return None
    return answer if isinstance(answer, dict) else None


def _timestamp(answer: dict[str, Any] | None) -> float | None:
    """When JetStream answered, by its own clock: ``"2026-11-21T10:00:00.123456789Z"``."""
    said = answer.get("ts") if answer is not None else None
    if not isinstance(said, str):
        return None
    try:
        return datetime.fromisoformat(said).timestamp()
    except ValueError:
        return None
