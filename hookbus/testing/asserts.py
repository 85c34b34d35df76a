"""What a test says of a decision, or of a verdict; on failure, all that came instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NoReturn, cast

import msgspec

from hookbus.models import Block, Cause, Continue, Decision, Intercept, PluginRecord, Verdict
from hookbus.patches import MISSING, difference, pointer, resolve
from hookbus.printable import compact, shorten, shorten_middle

_MAX_TEXT: Final = 600  # characters
_MAX_VALUE: Final = 200
_MAX_FIELDS: Final = 12

_WORDS: Final[Mapping[type[Any], str]] = {
    Continue: "continue",
    Intercept: "intercept",
    Block: "block",
}


def assert_blocks(
    answer: Decision | Verdict | None,
    *,
    by: str | None = None,
    code: str | None = None,
    reason: str | None = None,
    cause: Cause | None = "verdict",
) -> Decision | Block:
    """Assert that *answer* is a block, and return it.

        decision = assert_blocks(hookbus.emit("message_received", {"text": "HELLO"}), by="calm")

    Args:
        answer: a decision of an emit, or a verdict of :func:`call_plugin`.
        by: the plugin whose Block is the primary one. Of decisions only.
        code: the whole code.
        reason: a text that the reason contains.
        cause: ``verdict`` (a plugin said so), or what else is meant: ``failure`` (one failed),
            ``deadline``, ``unavailable`` (nobody decided), …; None is any of them. A guard that
            raises blocks as well, and that is rarely what a test wants to see. Of decisions only.

    Raises:
        AssertionError: It is none, or another one; says what came instead.
        TypeError: *by* or *cause* is given for a verdict, which has neither.
    """
    __tracebackhide__ = True
    found = _outcome(answer, by=by, cause=None if cause == "verdict" else cause)
    has_cause = isinstance(answer, Decision)
    wanted = {"by": by, "code": code, "cause": cause if has_cause else None}
    others = [
        f"{name} {value!r}"
        for name, value in wanted.items()
        if value is not None and value != getattr(answer, name, None)
    ]
    if reason is not None and reason not in (getattr(answer, "reason", None) or ""):
        others.append(f"a reason with {reason!r}")
    if found != "block" or others:
        _fail(", ".join(("block", *others)), answer)
    return cast(Decision | Block, answer)


def assert_intercepts(
    answer: Decision | Verdict | None,
    data: Any = msgspec.UNSET,
    *,
    by: str | None = None,
    degraded: bool = False,
) -> Any:
    """Assert that *answer* changes the event, and return the new data.

        assert_intercepts(decision, {"text": "write to [email]"}, by="redact-secrets")

    Args:
        answer: a decision of an emit, or a verdict of :func:`call_plugin`.
        data: what the whole data must be now, as JSON values.
        by: a plugin that changed something. Of decisions only.
        degraded: whether a plugin failed open beside it.

    Returns:
        The data as JSON values; of a verdict its ``data``, ``patch`` or ``merge``.

    Raises:
        AssertionError: Something else came; says what, and where the data differs.
        TypeError: *by* is given for a verdict, or *data* for one that is a patch or a merge.
    """
    __tracebackhide__ = True
    found = _outcome(answer, by=by)
    if found != "intercept" or (by is not None and by not in _changers(answer)):
        _fail("intercept" if by is None else f"intercept by {by!r}", answer)
    _check_degraded("intercept", answer, degraded)
    changed = _changed(answer)
    if data is not msgspec.UNSET:
        if isinstance(answer, Intercept) and answer.data is msgspec.UNSET:
            raise TypeError("data: this verdict is a patch or a merge; emit on a bus to apply it")
        if operations := difference(data, changed):
            places = list(_differences(data, changed, [pointer(o.path) for o in operations]))
            _fail("intercept with other data", answer, ("the data differs:", *places))
    return changed


def assert_continues(answer: Decision | Verdict | None, *, degraded: bool = False) -> Any:
    """Assert that nobody objects and nothing is changed, and return the data.

    Args:
        answer: a decision of an emit, or a verdict of :func:`call_plugin`, where None is Continue.
        degraded: whether a plugin failed open; a decision that is a continue only because of that
            is none by default.

    Returns:
        The data that the emitter goes on with; None of a verdict.

    Raises:
        AssertionError: Something else came; says what.
    """
    __tracebackhide__ = True
    if _outcome(answer) != "continue":
        _fail("continue", answer)
    _check_degraded("continue", answer, degraded)
    return answer.data if isinstance(answer, Decision) else None


def describe(answer: Decision | Verdict | None) -> str:
    """Say in lines what came: outcome, who, why, and what each plugin did."""
    if not isinstance(answer, Decision):
        return shorten(repr(answer), _MAX_TEXT)
    return "\n".join(_lines(answer))


def _outcome(answer: Any, **of_decisions: Any) -> str:
    if isinstance(answer, Decision):
        return answer.outcome
    given = [name for name, value in of_decisions.items() if value is not None]
    if given and (answer is None or type(answer) in _WORDS):
        raise TypeError(f"{', '.join(given)}: a verdict has none; emit on a bus for a decision")
    if answer is None:
        return "continue"
    if type(answer) not in _WORDS:
        raise TypeError(
            f"expected a Decision or a verdict, got {type(answer).__name__}"
            + ("; is an 'await' missing?" if hasattr(answer, "__await__") else "")
        )
    return _WORDS[type(answer)]


def _changers(answer: Any) -> list[str]:
    return [record.plugin for record in answer.records if record.mutated]


def _changed(answer: Any) -> Any:
    if isinstance(answer, Decision):
        return answer.data
    given = (answer.data, answer.patch, answer.merge)
    return next(value for value in given if value is not msgspec.UNSET)


def _check_degraded(outcome: str, answer: Any, expected: bool) -> None:
    __tracebackhide__ = True
    if isinstance(answer, Decision) and answer.degraded != expected:
        word = "that is degraded" if expected else "with nobody failing open"
        _fail(f"{outcome} {word}", answer)


def _fail(expected: str, answer: Any, more: Iterable[str] = ()) -> NoReturn:
    __tracebackhide__ = True
    raise AssertionError("\n".join((f"expected {expected}, got:", describe(answer), *more)))


def _lines(decision: Decision) -> Iterator[str]:
    yield decision.outcome + (" (degraded)" if decision.degraded else "")
    for name in ("cause", "by", "code", "reason", "message"):
        if (value := getattr(decision, name)) is not None:
            yield f"  {name}: {shorten(value, _MAX_TEXT)}"
    if decision.outcome != "block":
        yield f"  data: {shorten_middle(compact(decision.data), _MAX_TEXT)}"
    for other in decision.others:
        yield f"  also: {shorten(other.reason, _MAX_TEXT)}"
    for warning in decision.warnings:
        yield f"  warning: {shorten(warning, _MAX_TEXT)}"
    if not decision.records:
        yield "  no plugin was asked"
    for record in decision.records:
        yield f"  {shorten(_record(record), _MAX_TEXT)}"


def _record(record: PluginRecord) -> str:
    line = f"{record.plugin} {record.hook} ({record.phase}, {record.mode}): "
    if record.verdict is not None:
        line += record.verdict
    elif record.failure is not None:
        line += f"failed: {record.failure}"
    else:
        line += "not asked"
    if record.pointers:
        line += f", changed {', '.join(pointer or 'everything' for pointer in record.pointers)}"
    if record.reason:
        line += f", {record.reason}"
    return f"{line} [{record.resolution}, {record.ms:.1f} ms]"


def _differences(expected: Any, found: Any, places: list[str]) -> Iterator[str]:
    for at in places[:_MAX_FIELDS]:
        yield f"  {shorten(at or 'everything', _MAX_VALUE)}"
        yield f"    expected {_value(resolve(expected, at))}"
        yield f"    got      {_value(resolve(found, at))}"
    if len(places) > _MAX_FIELDS:
        yield f"  … and {len(places) - _MAX_FIELDS} more fields"


def _value(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    return shorten_middle(msgspec.json.encode(value).decode(), _MAX_VALUE)
