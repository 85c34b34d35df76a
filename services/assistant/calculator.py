"""Arithmetic on a text: numbers, + - * / ** and brackets, nothing else. Pure."""

import ast
import operator
from typing import Any, Final

OPERATORS: Final[dict[type[ast.operator], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def calculate(text: str) -> str:
    """``"2 + 3 * 4" → "14"``; raises ValueError or ArithmeticError."""
    try:
        return f"{_value(ast.parse(text.strip(), mode='eval').body):.15g}"
    except (SyntaxError, TypeError, LookupError, RecursionError, MemoryError) as e:
        raise ValueError("no arithmetic") from e


def _value(node: ast.expr) -> float:
    match node:  # floats only: integers would grow for minutes, and 9**9**9 is an error at once
        case ast.Constant(value=int(number) | float(number)):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner)
        case ast.BinOp(left=left, op=sign, right=right):
            return float(OPERATORS[type(sign)](_value(left), _value(right)))
    raise ValueError("no arithmetic")
