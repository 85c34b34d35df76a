"""JetStream, the streams, the sizes of messages, and the broker's clock. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hookbus.broker_needs import MAKE_ROOM, jetstream_problem, payload_problem, storage_problem
from hookbus.cli.doctor.finding import Finding, ok, problem, unknown
from hookbus.cli.doctor.view import BusView
from hookbus.cli.plugins.asked import value_of

MAX_CLOCK_SKEW: Final = 5.0  # seconds
NEARLY_FULL: Final = 0.9  # of what JetStream may store


def judge_storage(view: BusView) -> Iterator[Finding]:
    if lack := jetstream_problem(is_on=view.is_jetstream_on is not False):
        yield problem("jetstream", lack.said, lack.next)
    else:
        yield from _streams(view)
    yield _payload(view)
    yield _clock(view)


def _streams(view: BusView) -> Iterator[Finding]:
    known = {name: info for name, info in view.streams.items() if info is not None}
    if not known:
        yield unknown("streams", "these credentials may not ask about streams")
        return
    missing = sorted(name for name, info in known.items() if "error" in info)
    if missing:
        said = f"not there: {', '.join(missing)}, so nothing is recorded in them"
        next_ = f"the registry makes them, and its log says why it cannot: {MAKE_ROOM}"
        yield problem("streams", said, next_)
    elif lack := _room(view, known):
        yield lack
    else:
        stored = sum(_number(info, "state", "bytes") for info in known.values())
        asked = "" if len(known) == len(view.streams) else " of those that may be asked for"
        yield ok("streams", f"{len(known)} there{asked}, with {stored / 2**20:.0f} MiB")


def _room(view: BusView, known: dict[str, dict[str, Any]]) -> Finding | None:
    """Compare the streams' limits with the account's; the server's own are not told."""
    limits = (view.account or {}).get("limits")
    limit = limits.get("max_storage", -1) if isinstance(limits, dict) else -1
    if not isinstance(limit, int) or limit <= 0:
        return None
    wanted = sum(max(0, _number(info, "config", "max_bytes")) for info in known.values())
    if lack := storage_problem(wanted, limit):
        return problem("streams", lack.said, lack.next)
    stored = _number({"account": view.account}, "account", "storage")
    if stored > NEARLY_FULL * limit:
        return problem("streams", f"{stored} of {limit} bytes are in use", MAKE_ROOM)
    return None


def _payload(view: BusView) -> Finding:
    if view.settings is None:
        return unknown("sizes", "no registry says how large an event may be")
    most = value_of(view.settings, "max_event_bytes", 0)
    if lack := payload_problem(most, view.max_payload):
        return problem("sizes", lack.said, lack.next)
    return ok("sizes", f"events of {most} bytes fit into messages of {view.max_payload}")


def _clock(view: BusView) -> Finding:
    if view.broker_ahead is None:
        return unknown("clock", "the broker's could not be asked")
    if abs(view.broker_ahead) > MAX_CLOCK_SKEW:
        side = "ahead of" if view.broker_ahead > 0 else "behind"
        said = f"the broker's is {abs(view.broker_ahead):.0f} s {side} this computer's"
        return problem(
            "clock", said, "set both by NTP: overrides and certificates end by the clock"
        )
    return ok("clock", f"within {MAX_CLOCK_SKEW:g} s of the broker's")


def _number(info: dict[str, Any], section: str, name: str) -> int:
    inner = info.get(section)
    value = inner.get(name) if isinstance(inner, dict) else None
    return value if isinstance(value, int) else 0
