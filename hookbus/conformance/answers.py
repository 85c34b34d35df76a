"""Checks of ordinary calls: is each answered once, in time, about itself, and with a verdict?"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from hookbus import patches
from hookbus.conformance.caller import PATIENCE, SETTLE, Exchange
from hookbus.conformance.check import Check, Probe
from hookbus.conformance.report import Seen, failed, passed, skipped
from hookbus.errors import BadPatch
from hookbus.wire.limits import cut
from hookbus.wire.verdict import (
    ERROR_CODE_HEADER,
    ERROR_HEADER,
    Answer,
    Expected,
    Extend,
    verify_reply,
)

TINY_MS: Final = 20
#: Seconds that a verdict may be under way, and our own clock may lag on a busy machine.
GRACE: Final = 0.15
TRIES: Final = 3  # one late answer may be the machine's fault

_MAX_SHOWN: Final = 60  # characters of a value in a sentence
_MAX_OPERATIONS: Final = 256  # the bus's own default
_MAX_BYTES: Final = 512 * 1024


async def _answers(probe: Probe) -> Seen:
    if probe.hook.no_data:
        return skipped(probe.hook.no_data)
    exchange = await probe.ask()
    if exchange.is_absent:
        return failed(f"no responders: nothing is subscribed to {probe.hook.subject}")
    if exchange.answer is None:
        return failed(f"no answer within {PATIENCE:g} s")
    return passed(f"answered after {exchange.answer.after * 1000:.1f} ms")


async def _is_json(probe: Probe) -> Seen:
    reply = _answer(probe.first)
    headers = reply.headers or {}
    if ERROR_HEADER in headers or ERROR_CODE_HEADER in headers:
        return skipped("it answered with service error headers, which is a failure of its own")
    if reply.members is None:
        return failed(f"the answer is no JSON object: {_shown(reply.body)}")
    return passed(f"a JSON object of {len(reply.body)} bytes")


async def _echoes_call(probe: Probe) -> Seen:
    call = _members(probe.first).get("call")
    if call != probe.first.call:
        return failed(f"call {probe.first.call!r} was answered with call {_shown(call)}")
    return passed("the answer names the call")


async def _echoes_attempt(probe: Probe) -> Seen:
    second = await probe.ask(attempt=2)
    if second.answer is None or second.answer.members is None:
        return failed("a call with attempt 2 was not answered with a verdict")
    for exchange in (probe.first, second):
        attempt = _members(exchange).get("attempt")
        if attempt != exchange.attempt or isinstance(attempt, bool):
            return failed(f"attempt {exchange.attempt} was answered with {_shown(attempt)}")
    return passed("attempts 1 and 2 are named in their answers")


async def _names_itself(probe: Probe) -> Seen:
    plugin = _members(probe.first).get("plugin")
    if plugin != probe.hook.plugin:
        return failed(f"the answer's plugin is {_shown(plugin)}, expected {probe.hook.plugin!r}")
    return passed(f"the answer's plugin is {plugin!r}")


async def _is_verdict(probe: Probe) -> Seen:
    answer = _judged(probe)
    word = _members(probe.first).get("verdict")
    if isinstance(answer, Answer) and answer.failure is not None and word != "error":
        return failed(f"{answer.failure}: {answer.reason}")
    if isinstance(answer, Answer) and answer.change is not None:
        wrong = _wrong_change(answer.change, probe.hook.data)
        if wrong is not None:
            return failed(wrong)
    return passed(f"its verdict is {_shown(word)}")


async def _keeps_to_phase(probe: Probe) -> Seen:
    word = _members(probe.first).get("verdict")
    if probe.hook.phase == "mutate":
        return skipped("a mutate hook may intercept")
    if word == "intercept":
        return failed("a validate hook answered 'intercept'")
    return passed(f"a validate hook answered {_shown(word)}")


async def _ignores_unknown(probe: Probe) -> Seen:
    event = probe.hook.event(conformanceunknown="1")
    exchange = await probe.ask(x_unknown={"of": ["a", "later", "version"]}, event=event)
    if exchange.answer is None:
        return failed("a call with unknown keys was not answered")
    word, first = _members(exchange).get("verdict"), _members(probe.first).get("verdict")
    if word == "error" and first != "error":
        return failed("a call with unknown keys was answered 'error'")
    return passed("answered with unknown keys in the call and in its event")


async def _answers_both(probe: Probe) -> Seen:
    both = await asyncio.gather(probe.ask(), probe.ask())
    for exchange in both:
        if exchange.answer is None:
            return failed("of two calls at the same time one was not answered")
        call = _members(exchange).get("call")
        if call != exchange.call:
            return failed(f"call {exchange.call!r} was answered with call {_shown(call)}")
    return passed("both were answered, each with its own call")


async def _is_in_time(probe: Probe) -> Seen:
    """Ask with hardly any time, and wait for an answer that nobody would wait for."""
    patience = max(1.0, 2 * _answer(probe.first).after)
    late = 0.0
    for _ in range(TRIES):
        exchange = await probe.caller.call(probe.hook, timeout_ms=TINY_MS)
        await exchange.wait(patience)
        if exchange.answer is None:
            return passed(f"no answer to a call of {TINY_MS} ms, and no late one")
        late = exchange.answer.after
        if late <= TINY_MS / 1000 + GRACE:
            return passed(f"a call of {TINY_MS} ms was answered after {late * 1000:.1f} ms")
    return failed(f"a call of {TINY_MS} ms was answered after {late * 1000:.0f} ms, {TRIES} times")


async def _answers_dispatchers_only(probe: Probe) -> Seen:
    count = await probe.caller.answers_elsewhere(probe.hook)
    if count:
        return failed("it answered a call whose reply subject was an inbox")
    return passed("a call with an inbox as its reply subject was not answered")


def _answer(exchange: Exchange) -> Any:
    assert exchange.answer is not None  # noqa: S101 - such checks need 'answers'
    return exchange.answer


def _members(exchange: Exchange) -> dict[str, Any]:
    reply = exchange.answer
    return (reply.members if reply else None) or {}


def _judged(probe: Probe) -> Answer | Extend | None:
    """Let the bus's own code judge the verdict, its identity put right: others look at that."""
    expected = Expected(probe.hook.plugin, probe.first.call, 1, probe.hook.max_reply_bytes)
    identity = {"plugin": expected.plugin, "call": expected.call, "attempt": expected.attempt}
    body = msgspec.json.encode({**_members(probe.first), **identity})
    judged = verify_reply(body, None, expected)
    return judged if isinstance(judged, Answer | Extend) else None


def _wrong_change(change: tuple[str, Any], data: Any) -> str | None:
    kind, value = change
    if kind != "patch":
        return None
    try:
        operations = patches.decode(value, max_ops=_MAX_OPERATIONS)
        patches.apply(data, operations, max_bytes=_MAX_BYTES)
    except BadPatch as e:
        return f"its patch cannot be applied: {e}"
    return None


def _shown(value: object) -> str:
    return cut(repr(value), _MAX_SHOWN)


ANSWERS: Final = (
    Check(
        "answers",
        "A plugin sends one verdict to the reply subject of each call.",
        _answers,
        needs=(),
    ),
    Check("json", "A verdict is one JSON object in UTF-8.", _is_json),
    Check(
        "echoes-call",
        "A verdict repeats the call's 'call'; another one is the failure uid_mismatch.",
        _echoes_call,
        needs=("json",),
    ),
    Check(
        "echoes-attempt",
        "A verdict repeats the call's 'attempt', which is higher when the call is sent again.",
        _echoes_attempt,
        needs=("json",),
    ),
    Check(
        "names-itself",
        "A verdict's 'plugin' is the plugin's name; another one is dropped as spoofed_reply.",
        _names_itself,
        needs=("json",),
    ),
    Check(
        "verdict",
        "continue, block, extend or error; or intercept with one of patch, merge, data.",
        _is_verdict,
        needs=("json",),
    ),
    Check(
        "phase",
        "A validate hook may refuse, not change: its intercept is a phase_violation.",
        _keeps_to_phase,
        needs=("json",),
    ),
    Check(
        "unknown-keys", "Unknown keys are ignored, so that version 1 can grow.", _ignores_unknown
    ),
    Check(
        "concurrent",
        "Each of several calls at the same time is answered with its own ids.",
        _answers_both,
        needs=("echoes-call",),
    ),
    Check(
        "in-time",
        "A call that has waited longer than its timeout_ms is dropped: nobody listens any more.",
        _is_in_time,
    ),
    Check(
        "dispatchers-only",
        "Answer only if the reply subject begins with 'hookbus.reply.'.",
        _answers_dispatchers_only,
    ),
)


async def _answers_once(probe: Probe) -> Seen:
    await asyncio.sleep(SETTLE)
    most = _most_answers(probe)
    if most < 2:
        return passed(f"{len(probe.asked)} calls, no second answer to any")
    if probe.replicas > 1:
        return skipped(f"{most} answers to one call; with {probe.replicas} replicas see 'queue'")
    return failed(f"{most} answers to one call; or do replicas share no queue group?")


async def _shares_queue(probe: Probe) -> Seen:
    most = _most_answers(probe)
    if probe.replicas < 2:
        return skipped("fewer than two replicas are known; start a second one to see it")
    if most > 1:
        return failed(f"{most} answers to one call with {probe.replicas} replicas up")
    return passed(f"{len(probe.asked)} calls, each answered once by {probe.replicas} replicas")


async def _stays_on_subject(probe: Probe) -> Seen:
    if probe.caller.strays:
        return failed(f"an answer came on {_shown(probe.caller.strays[0])}")
    return passed("every answer came on the reply subject of its call")


def _most_answers(probe: Probe) -> int:
    return max(len(exchange.answers) for exchange in probe.asked)


#: Looked at last, over all calls that were made.
AFTERWARDS: Final = (
    Check("once", "One verdict for each call; a second one is dropped and counted.", _answers_once),
    Check(
        "queue",
        "Replicas subscribe in the queue group named like the plugin, and share the calls.",
        _shares_queue,
    ),
    Check("reply-subject", "The verdict goes to the message's reply subject.", _stays_on_subject),
)
