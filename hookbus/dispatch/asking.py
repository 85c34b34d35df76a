"""One stage asked: who is skipped, cached or refused, and what the others' answers come to.

The core loop knows order; what stands around a call (conditions, dry run, cache, breaker, the
plugin's permissions) stands here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from msgspec import structs

from hookbus.dispatch.aggregate import Asked, Objection
from hookbus.dispatch.breaker import Breakers
from hookbus.dispatch.cache import VerdictCache, cache_key
from hookbus.dispatch.matching import match
from hookbus.dispatch.payload import ForbiddenWrite, Payload, change
from hookbus.dispatch.task import Task
from hookbus.errors import BadPatch
from hookbus.runtimes.base import Question, Reply, Runtime
from hookbus.snapshot import Binding, Limits
from hookbus.wire.verdict import Answer, failure

MAX_WARNED: Final = 256  # calls in flight in mode `warn`; they are shed before those that decide

_NOT_ASKED: Final = failure("timeout", "not asked: the event's time was over")
_SKIPPED: Final = Answer()


class Asking:
    """Asks the plugins of a stage through a Runtime, with all that stands around a call."""

    def __init__(self, runtime: Runtime, breakers: Breakers, clock: Callable[[], float]) -> None:
        self._runtime = runtime
        self._breakers = breakers
        self._cache = VerdictCache()
        self._clock = clock
        self._warned = 0  # calls in flight

    def ask(
        self, task: Task, wanted: Sequence[Question], payload: Payload, round_: int = 1
    ) -> Awaitable[list[Asked]]:
        """Ask one stage and return what each hook came to, in the order of *wanted*."""
        if self._must_all_be_called(task, wanted):
            return self._called(task, wanted, payload, round_)
        return self._partly_called(task, wanted, payload, round_)

    async def _partly_called(
        self, task: Task, wanted: Sequence[Question], payload: Payload, round_: int
    ) -> list[Asked]:
        results = [self._without_asking(task, w, payload, round_) for w in wanted]
        asked = [w for w, result in zip(wanted, results, strict=True) if result is None]
        if asked:
            warned = sum([binding.mode == "warn" for binding, _ in asked])
            self._warned += warned
            try:
                called = iter(await self._called(task, asked, payload, round_))
            finally:
                self._warned -= warned
            results = [next(called) if result is None else result for result in results]
        return [result for result in results if result is not None]

    def _must_all_be_called(self, task: Task, wanted: Sequence[Question]) -> bool:
        """Tell what is true of nearly every stage at one look: no hook of it is a special case."""
        inbound = task.inbound
        if self._breakers or inbound.dry_run:
            return False
        principal = inbound.principal
        for binding, allowance in wanted:
            if not binding.is_plain or allowance.timeout <= 0 or binding.plugin == principal:
                return False
        return True

    def _without_asking(
        self, task: Task, wanted: Question, payload: Payload, round_: int
    ) -> Asked | None:
        """Settle a hook that need not or may not be called; None is one to call."""
        binding, allowance = wanted
        if binding.conditions or task.inbound.principal == binding.plugin:
            matched = match(binding, task.inbound, payload.scope(task.inbound))
            if isinstance(matched, dict):
                return Asked(binding, _SKIPPED, attempt=0, round=round_, notes=(matched,))
            if matched is not None:
                return Asked(binding, matched, attempt=0, round=round_)
        if task.inbound.dry_run and binding.side_effects == "some":
            return _unsupported(binding, round_)
        if binding.cache_ttl_ms:
            key = cache_key(binding, task.snapshot.generation, task.inbound, payload)
            known = self._cache.get(key, self._clock())
            if known is not None:
                return Asked(
                    binding,
                    known,
                    attempt=0,
                    round=round_,
                    notes=({"kind": "cache_hit"},),
                    is_cached=True,
                )
        if allowance.timeout <= 0:
            return Asked(binding, _NOT_ASKED, attempt=0, round=round_, is_shortened=True)
        if binding.mode == "warn" and self._warned >= MAX_WARNED:  # R15
            return Asked(binding, _SKIPPED, attempt=0, round=round_, notes=({"kind": "shed"},))
        breaker = self._breakers.known(binding)
        if breaker is not None and not breaker.admit(self._clock()):
            reason = f"not asked: it failed too often in a row, the last time by {breaker.last}"
            answer = failure("breaker_open", reason)
            note = {"kind": "breaker_open"}
            return Asked(binding, answer, attempt=0, round=round_, notes=(note,))
        return None

    async def _called(
        self, task: Task, wanted: Sequence[Question], payload: Payload, round_: int
    ) -> list[Asked]:
        """Call them all, and let breakers and cache learn from the answers."""
        sent = self._clock()
        at_ms = round((sent - task.received) * 1000, 3)
        try:
            replies = await self._runtime.ask(wanted, task.tail(payload.event, round_))
        except BaseException:
            # the wait was cancelled: a half-open breaker must let another probe through
            for binding, _ in wanted:
                self._learn(task, Asked(binding, failure("cancelled", "the wait ended")), sent)
            raise
        results = []
        for question, reply in zip(wanted, replies, strict=True):
            settled = self._settled(task, question, payload, round_, reply, at_ms)
            if self._breakers or settled.answer.failure is not None:
                self._learn(task, settled, sent)
            results.append(settled)
        return results

    def _settled(
        self,
        task: Task,
        wanted: Question,
        payload: Payload,
        round_: int,
        reply: Reply,
        at_ms: float,
    ) -> Asked:
        """Turn a reply into what it came to, and let the cache learn from it."""
        binding, allowance = wanted
        answer = reply.answer
        is_shortened = allowance.is_shortened or reply.is_capped
        asked = Asked(
            binding,
            answer,
            reply.ms,
            reply.attempt,
            round_,
            reply.notes,
            None,
            is_shortened,
            at_ms=at_ms,
        )
        if answer.failure is None and answer.change is None and not binding.cache_ttl_ms:
            return asked
        if answer.failure == "service_error" and _is_spoilt(task, payload):
            asked = structs.replace(asked, is_misled=True)
        elif answer.change is not None:
            asked = _checked(asked, answer.change, payload, task.snapshot.limits)
        if binding.cache_ttl_ms:
            key = cache_key(binding, task.snapshot.generation, task.inbound, payload)
            now = self._clock()
            self._cache.put(key, asked.answer, now + binding.cache_ttl_ms / 1000, now)
        return asked

    def _learn(self, task: Task, asked: Asked, sent: float) -> None:
        failed = "schema" if asked.is_misled else asked.answer.failure
        if failed is not None and not self._breakers.concerns(asked.binding, sent):
            return
        breaker = self._breakers.known(asked.binding)
        if breaker is None and failed is not None:
            breaker = self._breakers.of(asked.binding, task.snapshot.limits.breaker)
        if breaker is not None:
            breaker.record(failed, asked.is_shortened, self._clock(), sent)


def _is_spoilt(task: Task, payload: Payload) -> bool:
    """Tell whether earlier plugins left data that breaks the schema (R1).

    A later one may still mend it; one with a typed handler cannot judge it, and is not to blame.
    """
    if payload.event is task.inbound.body:
        return False
    return not task.snapshot.catalog.get(task.inbound.event.type).is_valid(payload.data)


def _checked(asked: Asked, wish: tuple[str, Any], payload: Payload, limits: Limits) -> Asked:
    """Apply an Intercept as far as the plugin may; what cannot be is its failure."""
    binding = asked.binding
    if binding.phase == "validate":
        answer = failure("phase_violation", "a validate hook may not intercept")
        return structs.replace(asked, answer=answer)
    try:
        done = change(payload, binding, wish, limits)
    except BadPatch as e:
        return structs.replace(asked, answer=failure("bad_patch", str(e)))
    except ForbiddenWrite as e:
        return structs.replace(asked, answer=failure("forbidden_write", str(e)))
    notes = asked.notes
    if done.dropped:
        notes += tuple([{"kind": "disallowed_op", "path": path} for path in done.dropped])
    return structs.replace(asked, change=done, notes=notes)


def _unsupported(binding: Binding, round_: int) -> Asked:
    """A dry run may not ask for side effects, whatever ``on_failure`` says (H03)."""
    reason = "dry_run_unsupported: it has side effects, so a dry run cannot ask it"
    return Asked(
        binding,
        _SKIPPED,
        attempt=0,
        round=round_,
        notes=({"kind": "dry_run_unsupported"},),
        objection=Objection(binding.plugin, "config", "dry_run_unsupported", reason),
    )
