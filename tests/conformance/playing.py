"""One case played on one stage: its steps in order, and what came of them."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from typing import Any

import msgspec

from hookbus import subjects, verdict_bytes
from hookbus.errors import ControlError, InvalidEvent, Unavailable
from hookbus.local.connection import LocalConnection
from hookbus.message import Requests
from hookbus.models import Decision
from tests.conformance.cast import Cast
from tests.conformance.comparing import (
    call_line,
    differences,
    of_decision,
    shadow_line,
    summary,
    to_json,
)
from tests.conformance.emitting import data_of, send
from tests.conformance.notation import read_part, scaled
from tests.conformance.stage import Stage
from tests.conformance.table import TYPE, Case, Step
from tests.flow.bus import Bus

PATIENCE = 15.0  # seconds for what comes after the decision, as a late reply does


class Performance:
    """Plays one case on one bus; *is_local* has the dispatcher in the emitter's process."""

    def __init__(self, case: Case, stage: Stage, bus: Bus, *, is_local: bool = False) -> None:
        self.problems: list[str] = []
        self._case = case
        self._stage = stage
        self._bus = bus
        self._scale = stage.scale(case.scale)
        self._cast: Cast = stage.cast(bus, case.id)
        self._is_local = is_local
        self._emitting: dict[str, Requests] = {}
        self._begun: dict[str, asyncio.Task[Any]] = {}
        self._decisions: list[Decision] = []
        self._answers: list[str] = []
        self._generation = 0

    async def play(self) -> None:
        """Play all steps, then look at what the whole case came to."""
        if not self._case.has("registry"):
            await self._on_registry()
        await self._bus.start_dispatcher(
            can_cut=self._case.has("cut"),
            denied=self._denied_in_memory(),
            local_to="/test" if self._is_local else None,
        )
        for place, lines in self._plugins():
            await self._join(lines, place)
        if not self._case.has("registry"):
            self._generation = await self._bus.served()
        for step in self._case.steps:
            await getattr(self, f"_on_{step.word}")(step)
        await self._look_at_the_end()

    # -- steps ------------------------------------------------------------------------------

    async def _on_emit(self, step: Step) -> None:
        given = step.given
        if given.get("together"):
            many = [self._decided(given) for _ in range(given["times"])]
            for found in await self._bus.together(many):
                self._compare(step.rest, found)
            return
        for _ in range(given.get("times", 1)):
            self._compare(step.rest, await self._decided(given))

    async def _on_begin(self, step: Step) -> None:
        self._begun[step.rest["as"]] = self._bus.begin(self._decided(step.given))
        await self._settle()

    async def _on_await(self, step: Step) -> None:
        found = await self._begun[step.given]
        self._compare(step.rest, found)

    async def _on_wait(self, step: Step) -> None:
        await asyncio.sleep(step.given * self._scale / 1000)

    async def _on_join(self, step: Step) -> None:
        lines = [step.given] if isinstance(step.given, str) else step.given
        self._check("answer", step.rest, await self._join(lines, 50))
        await self._bus.served()

    async def _on_appear(self, step: Step) -> None:
        await self._cast.do("appear", plugin=step.given)

    async def _on_vanish(self, step: Step) -> None:
        await self._cast.do("vanish", plugin=step.given)

    async def _on_leave(self, step: Step) -> None:
        answers = await self._cast.do("leave", plugin=step.given)
        self._check("answer", step.rest, ", ".join(map(_answer_line, answers)))
        await self._bus.served()

    async def _on_announce(self, step: Step) -> None:
        answers = await self._cast.do("announce", plugin=step.given)
        self._check("answer", step.rest, ", ".join(map(_answer_line, answers)))
        await self._settle()

    async def _on_kill(self, step: Step) -> None:
        await self._stage.kill(self._cast, step.given)

    async def _on_say(self, step: Step) -> None:
        arguments = {"script": step.rest["with"], "scale": self._scale}
        await self._cast.do("say", plugin=step.given, **arguments)

    async def _on_control(self, step: Step) -> None:
        said = scaled(step.rest.get("with", {}), self._scale)
        members = {name: None if value == "$null" else value for name, value in said.items()}
        try:
            await self._bus.control(step.given, **members)
            answer = "done"
        except ControlError as e:
            answer = f"{e.code}: {e}"
        self._check("answer", step.rest, answer)
        await self._bus.served()

    async def _on_cut(self, step: Step) -> None:
        self._bus.cut(self._bus.dispatcher_transport)
        await self._bus.until(lambda: not self._bus.dispatcher_transport.is_connected)

    async def _on_mend(self, step: Step) -> None:
        self._bus.mend(self._bus.dispatcher_transport)
        await self._bus.until(lambda: self._bus.dispatcher_transport.is_connected)

    async def _on_deny(self, step: Step) -> None:
        """Nothing to do: the broker refused from the start."""

    async def _on_registry(self, step: Step | None = None) -> None:
        """Start it; without this step it is there from the beginning."""
        await self._bus.start_registry(**scaled(self._case.settings, self._scale))

    async def _on_halt(self, step: Step) -> None:
        """Stop the dispatcher."""
        await self._bus.dispatcher.stop()
        await self._settle()

    async def _on_alike(self, step: Step) -> None:
        """All decisions so far have the same verdict bytes (R29)."""
        if len({verdict_bytes(decision) for decision in self._decisions}) != 1:
            self.problems.append(f"alike: {[summary(to_json(d)) for d in self._decisions]}")

    async def _on_dispatcher(self, step: Step) -> None:
        """One more replica."""
        await self._bus.start_dispatcher()
        await self._bus.served()

    async def _on_same(self, step: Step) -> None:
        """All decisions so far are one."""
        found = {decision.id for decision in self._decisions}
        if len(found) != 1:
            self.problems.append(f"same: expected one decision, got {len(found)}")

    async def _on_generation(self, step: Step) -> None:
        """``kept`` or ``new``, since the last look."""
        now = await self._bus.served()
        found = "kept" if now == self._generation else "new"
        self._generation = now
        if found != step.given:
            self.problems.append(f"generation: expected {step.given}, got {found}")

    async def _on_ready(self, step: Step) -> None:
        """Whether the dispatcher says that it can decide."""
        if self._bus.dispatcher.is_ready is not step.given:
            self.problems.append(f"ready: expected {step.given}")

    async def _on_wait_generation(self, step: Step) -> None:
        """Ask for the next generation, make it by the given part, and see who serves it then."""
        wanted = await self._bus.served() + 1
        waiting = self._bus.begin(self._bus.control("wait_generation", generation=wanted))
        await asyncio.sleep(0.3 * self._scale)
        if waiting.done():
            self.problems.append("wait_generation: expected to wait, but it was answered at once")
        await self._cast.do("join", **self._joining([step.given], 50))
        answer = await waiting
        served = [role.ingress.generation for role in self._bus.dispatchers]
        if answer["dispatchers"] != len(served) or min(served) < wanted:
            self.problems.append(f"wait_generation: {answer} while {served} are served")

    # -- emits ------------------------------------------------------------------------------

    async def _decided(self, given: dict[str, Any]) -> dict[str, Any]:
        """Send one event; return all that it may be compared with."""
        loop = asyncio.get_running_loop()
        transport = await self._connection(given.get("by", subjects.ANONYMOUS))
        data = data_of(given)
        started = loop.time()
        try:
            decision = await send(transport, data, given, self._scale)
        except InvalidEvent as e:
            return {"expect": f"refused {e.code} {e.pointer}".rstrip(), "reason": str(e)}
        except Unavailable as e:
            return {"expect": f"unavailable {e.code}", "reason": str(e)}
        if decision is None:
            return {"expect": "stored"}
        ms = (loop.time() - started) * 1000
        self._decisions.append(decision)
        right = {"continue": data, "block": None, "intercept": decision.data}[decision.outcome]
        if decision.data != right:
            self.problems.append(f"data: expected {right!r}, got {decision.data!r}")
        return {**of_decision(decision), "elapsed": ms, "below": ms}

    async def _connection(self, principal: str) -> Requests:
        if principal not in self._emitting:
            made: Requests = self._bus.transport
            if self._is_local:
                made = LocalConnection(
                    self._bus.dispatcher, self._bus.dispatcher_transport, principal
                )
            elif principal != subjects.ANONYMOUS:
                made = await self._bus.connect(principal)
            self._emitting[principal] = made
        return self._emitting[principal]

    def _compare(self, expected: dict[str, Any], found: dict[str, Any]) -> None:
        expected = {key: value for key, value in expected.items() if key not in ("as", "answer")}
        if "expect" in expected and expected["expect"].split()[0] in _DECIDED:
            # what a case does not mention must not have happened
            expected = {"warnings": [], "conflicts": [], "others": [], "masked": [], **expected}
        for key, exact in (("elapsed", self._stage.elapsed), ("below", self._stage.below)):
            if key in expected:
                expected[key] = exact(expected[key], self._scale)
        if "took" in expected:
            took = expected["took"].items()
            expected["took"] = {name: self._stage.elapsed(ms, self._scale) for name, ms in took}
        missing = expected.keys() - found.keys()
        found = {**dict.fromkeys(missing), **found}
        self.problems.extend(differences(expected, found))

    # -- plugins ----------------------------------------------------------------------------

    def _plugins(self) -> list[tuple[int, list[str]]]:
        """The parts of each plugin together, with the place of the first in the list."""
        grouped: dict[str, tuple[int, list[str]]] = {}
        for place, line in enumerate(self._case.plugins):
            name = read_part(line, place, TYPE).plugin
            grouped.setdefault(name, (place, []))[1].append(line)
        return list(grouped.values())

    async def _join(self, lines: list[str], place: int) -> str:
        answers = await self._cast.do("join", **self._joining(lines, place))
        line = ", ".join(map(_answer_line, answers))
        self._answers.append(line)
        return line

    def _joining(self, lines: list[str], place: int) -> dict[str, Any]:
        return {"lines": lines, "place": place, "type": TYPE, "scale": self._scale}

    def _check(self, key: str, expected: dict[str, Any], found: Any) -> None:
        if key in expected:
            self.problems.extend(differences({key: expected[key]}, {key: found}))

    def _denied_in_memory(self) -> tuple[str, ...]:
        is_virtual = self._stage.scale(2.0) == 1.0
        return tuple(s.given for s in self._case.steps if s.word == "deny" and is_virtual)

    # -- the end ----------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Let what has been sent arrive."""
        for transport in (self._bus.transport, self._bus.dispatcher_transport):
            await transport.flush()
        for _ in range(10):
            await asyncio.sleep(0)

    async def _look_at_the_end(self) -> None:
        expected = dict(self._case.expected)
        if "told" in expected:
            told = self._stage.told
            expected["told"] = {
                plugin: [told(ms, self._scale) for ms in _listed(wanted)]
                for plugin, wanted in expected["told"].items()
            }
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while problems := differences(expected, await self._end(expected)):
            if asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(0.01)
        self.problems.extend(problems)

    async def _end(self, expected: dict[str, Any]) -> dict[str, Any]:
        """What the whole case came to, as far as anybody wants to know."""
        found: dict[str, Any] = {"answers": self._answers}
        if expected.keys() & {"calls", "sees", "told", "dry", "chains", "traced"}:
            found |= self._calls_of(await self._cast.do("calls"))
        if "counters" in expected:
            found["counters"] = {name: self._bus.counters[name] for name in expected["counters"]}
        if expected.keys() & {"recorded", "shadow", "hidden"}:
            found |= await self._recorded(expected.get("hidden", ()))
        if "observed" in expected:
            stored = await self._bus.stored(subjects.OBSERVE_STREAM)
            found["observed"] = [_observed_line(body) for _, body in stored]
        return found

    def _calls_of(self, calls: list[dict[str, Any]]) -> dict[str, Any]:
        parts = [read_part(line, 0, TYPE) for line in self._case.plugins]
        beside = {part.plugin for part in parts if part.hook.get("mode") == "shadow"}
        sees: dict[str, list[Any]] = defaultdict(list)
        told: dict[str, list[int]] = defaultdict(list)
        chains: dict[str, list[str]] = defaultdict(list)
        traced: dict[str, list[str]] = defaultdict(list)
        for call in calls:
            sees[call["plugin"]].append(call["event"]["data"])
            told[call["plugin"]].append(call.get("timeout_ms", 0))
            chains[call["plugin"]].append(call["event"].get("hbchain", ""))
            traced[call["plugin"]].append(call.get("traceparent", ""))
        if not all(_CALL_ID.fullmatch(call["call"]) for call in calls if "call" in call):
            self.problems.append("calls: expected ids of 22 characters")
        wanted = self._case.expected
        return {
            "chains": {name: chains[name] for name in wanted.get("chains", ())},
            "traced": {name: traced[name] for name in wanted.get("traced", ())},
            "calls": call_line(calls, beside),
            "sees": {name: sees[name] for name in wanted.get("sees", ())},
            "told": {name: told[name] for name in wanted.get("told", ())},
            "dry": [c["plugin"] for c in calls if c["event"].get("hbdryrun")],
        }

    async def _recorded(self, hidden: list[str]) -> dict[str, Any]:
        stored = await self._bus.stored(subjects.DECISIONS_STREAM)
        shadows = [body for _, body in stored if "record" in body]
        records = [body for _, body in stored if "record" not in body]
        for subject, body in stored:
            word = "shadow" if "record" in body else body["outcome"]
            expected = f"hookbus.decision.{word}.{body['event']['type']}"
            if subject != expected:
                self.problems.append(f"recorded: expected on {expected!r}, got {subject!r}")
        known = {decision.id: decision for decision in self._decisions}
        for body in records:
            self._same_as_decided(body, known.get(body["id"]))
        for body in shadows:
            if known and body["decision"] not in known:
                self.problems.append(f"shadow: no decision has the id {body['decision']!r}")
        if {body["v"] for _, body in stored} - {1}:
            self.problems.append("recorded: expected version 1")
        text = msgspec.json.encode([body for _, body in stored]).decode()
        return {
            "recorded": [summary(body) for body in records],
            "shadow": sorted(shadow_line(body["record"]) for body in shadows),
            "hidden": [word for word in hidden if word not in text],
        }

    def _same_as_decided(self, body: dict[str, Any], decision: Decision | None) -> None:
        """What is recorded is what the emitter got, without the data."""
        if decision is None or decision.masked:
            return
        expected = to_json(msgspec.structs.replace(decision, data=msgspec.UNSET))
        if body != expected:
            self.problems.append(f"recorded: expected {expected}, got {body}")


_CALL_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_DECIDED = ("continue", "intercept", "block")


def _answer_line(answer: dict[str, Any]) -> str:
    """``"bound"``, ``"refused: hooks[0].timeout_ms: expected …"``"""
    problems = "; ".join(f"{p['at']}: {p['message']}" for p in answer["problems"])
    return f"{answer['state']}: {problems}" if problems else str(answer["state"])


def _observed_line(body: dict[str, Any]) -> str:
    """``'{"a":1} continue'``; a notified event has no decision."""
    decision = body["decision"]
    data = msgspec.json.encode(body["event"]["data"], order="sorted").decode()
    return f"{data} {summary(decision) if decision else 'notified'}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
