"""CEL conditions: compiled once with their guards, evaluated on one payload state. Pure.

The only home of CEL. No library stops an evaluation before its end, so what can run long is
refused when it is compiled: comprehension macros, and long or deeply nested expressions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final

from cel_expr_python import cel

from hookbus.errors import HookbusError

MAX_LENGTH: Final = 2_048  # bytes of one expression
MAX_CONDITIONS: Final = 16  # of one hook
#: Characters in all hooks of one plugin; each takes up to 5 µs to compile.
MAX_TEXT: Final = 64 * 1024

EVENT_ATTRIBUTES: Final = frozenset(
    ("id", "source", "type", "subject", "time", "principal", "dry_run")
)
#: The accumulator that cel-cpp gives every comprehension, under its names so far.
_ACCUMULATORS: Final = (b"@result", b"__result__")
_STRINGS: Final = re.compile(
    r"[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')"
    r"|//[^\n]*",
    re.DOTALL,
)
#: What is read of event or data; a name before a parenthesis is a function.
_REFERENCE: Final = re.compile(r"(?<![\w.])(?:event|data)(?:\s*\.\s*\w+\b(?!\s*\())*")
_ATTRIBUTE: Final = re.compile(r"(?<![\w.])event\s*\.\s*(\w+)")


class InvalidCondition(HookbusError):
    """An expression that cannot be a condition."""


class Scope:
    """What conditions see of one payload state; converted for CEL once, at the first use."""

    __slots__ = ("_activation", "_is_widened", "_variables")

    def __init__(self, event: Mapping[str, Any], data: Any) -> None:
        """Offer *event* (the attributes that the event has) and *data*."""
        self._variables: dict[str, Any] = {"event": event, "data": data}
        self._activation: Any = None
        self._is_widened = False

    def activation(self) -> Any:
        if self._activation is None:
            self._activation = _environment().Activation(self._variables)
        return self._activation

    def widen(self) -> bool:
        """Take integers beyond 64 bits as doubles; tell whether that was still to be done.

        CEL holds no such integer, and one anywhere makes an error of all data. It is looked for
        only then: walking the data costs more than most conditions.
        """
        if self._is_widened:
            return False
        self._is_widened = True
        self._variables, self._activation = _widened(self._variables), None
        return True


class Condition:
    """One compiled expression."""

    __slots__ = ("_expression", "source")

    def __init__(self, source: str) -> None:
        """Compile *source*.

        Raises:
            InvalidCondition: It does not compile, names an unknown variable, uses a comprehension
                macro, is too long, or is no truth value.
        """
        self.source = source
        self._expression = _compile(source)

    def holds(self, scope: Scope) -> bool | str:
        """Return True or False, or as a text why it is neither."""
        held = self._holds(scope)
        if isinstance(held, str) and scope.widen():
            held = self._holds(scope)
        return held

    def _holds(self, scope: Scope) -> bool | str:
        try:
            value = self._expression.eval(scope.activation())
        except (RuntimeError, TypeError, ValueError) as e:
            return str(e).splitlines()[0]
        # cel-expr-python 0.1.3 over-decrements None when it hands out a null, and after some
        # thousands of them the process aborts: nothing but a BOOL may be unpacked
        if value.type() == cel.Type.BOOL:
            return bool(value.value())
        if value.type() == cel.Type.ERROR:
            return str(value).splitlines()[0]
        return f"expected true or false, got {value.type().name()}"


def _widened(value: Any) -> Any:
    """Return *value* with integers beyond 64 bits as doubles, which is what JSON means by them."""
    if isinstance(value, dict):
        return {key: _widened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_widened(inner) for inner in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def check_condition(source: str) -> str | None:
    """Say why *source* cannot be a condition, or None."""
    try:
        Condition(source)
    except InvalidCondition as e:
        return str(e)
    return None


def references(source: str) -> list[tuple[str, ...]]:
    """Find what an expression reads: ``data.a.b > 1`` reads ``("data", "a", "b")``."""
    found = _REFERENCE.findall(_STRINGS.sub(" ", source))
    return [tuple(part.strip() for part in path.split(".")) for path in found]


@cache
def _environment() -> Any:
    event = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.NewEnv(variables={"event": event, "data": cel.Type.DYN})


# a new generation holds mostly the conditions of the last one, and 10,000 bindings up to as many
@lru_cache(maxsize=16_384)
def _compile(source: str) -> Any:
    if len(source.encode()) > MAX_LENGTH:
        raise InvalidCondition(f"expected at most {MAX_LENGTH} bytes, got {len(source.encode())}")
    try:
        expression = _environment().compile(source)
    except RuntimeError as e:
        raise InvalidCondition(f"does not compile: {_first_problem(str(e))}") from e
    if any(name in expression.serialize() for name in _ACCUMULATORS):
        raise InvalidCondition(
            "uses a macro that walks a list (all, exists, exists_one, map, filter);"
            " use in, has(), size(), matches(), startsWith()"
        )
    kind = expression.return_type()
    if kind not in (cel.Type.BOOL, cel.Type.DYN):
        raise InvalidCondition(f"expected true or false, got {kind.name()}")
    for name in _ATTRIBUTE.findall(_STRINGS.sub(" ", source)):
        if name not in EVENT_ATTRIBUTES:
            known = ", ".join(sorted(EVENT_ATTRIBUTES))
            raise InvalidCondition(f"event has no {name!r}; it has {known}")
    return expression


def _first_problem(text: str) -> str:
    """``INVALID_ARGUMENT: ERROR: <input>:1:1: undeclared … | foo`` → ``1:1: undeclared …``"""
    line = text.splitlines()[0]
    return line.partition("<input>:")[2] or line
