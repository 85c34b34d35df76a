"""A role's numbers on their way to a collector, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import pytest

from hookbus.families import Family
from hookbus.otel.losses import Losses
from hookbus.server import reports
from hookbus.server.host import Host


class FakeMetrics:
    """Notes what it is offered, and when the role had stopped."""

    interval = 0.001

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def offer(self, families: Iterable[Family], *, is_last: bool = False) -> None:
        self._told.append("last" if is_last else "offer")

    def stop(self) -> None:
        self._told.append("ended")


class FakeHost:
    """A role's life, without the role."""

    class role:  # noqa: N801 - stands for an attribute
        name = "dispatcher"

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def start(self) -> None:
        self._told.append("started")

    async def stop(self) -> None:
        self._told.append("stopped")


def test_the_last_numbers_are_offered_as_the_last_and_the_end_waits_for_the_role(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    losses = Losses()

    def start(*words: Any) -> FakeMetrics:
        return FakeMetrics(told)

    def no_families(host: Host) -> tuple[Family, ...]:
        return ()

    monkeypatch.setattr(reports, "start", start)
    monkeypatch.setattr(reports, "families_of", no_families)

    async def life() -> None:
        async with reports.hosted(cast("Host", FakeHost(told)), losses, {}):
            while "offer" not in told:
                await asyncio.sleep(0)

    asyncio.run(life())
    losses.tell()

    assert [word for word in told if word != "offer"] == ["started", "last", "stopped", "ended"]
