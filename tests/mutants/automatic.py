"""Mutants made from the syntax tree: what could be slightly wrong, one thing at a time. Pure."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.mutants.mutant import Mutant, mutant_of

#: What a comparison is swapped with.
_SWAPS: Final[dict[type[ast.cmpop], tuple[str, tuple[str, ...]]]] = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
_SIGNS: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
}
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
LARGE: Final = 100  # above it one more is as wrong as one less
_WORDS: Final = 60  # characters of a piece of code in a name


@dataclass(frozen=True, slots=True)
class _Edit:
    """Replace the text from *start* to *end* (offsets in characters) by *text*."""

    start: int
    end: int
    text: str


def automatic_mutants(path: str, source: str) -> Iterator[Mutant]:
    """Yield the mutants of one file; two that look the same are told apart by a number."""
    seen: Counter[str] = Counter()
    for scope, edit in _Finder(source).edits():
        before = " ".join(source[edit.start : edit.end].split())[:_WORDS]
        after = " ".join(edit.text.split())[:_WORDS]
        line = source.count("\n", 0, edit.start) + 1
        around = source.splitlines()[line - 1].strip()[:_WORDS]
        name = f"{path.removeprefix('hookbus/')} {scope}: {before} => {after} in {around}"
        seen[name] += 1
        if seen[name] > 1:
            name += f" #{seen[name]}"
        changed = source[: edit.start] + edit.text + source[edit.end :]
        yield mutant_of(name, {path: source}, {path: changed})


class _Finder:
    """Walks a module and finds what can be mutated, where it stands."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def edits(self) -> Iterator[tuple[str, _Edit]]:
        """Yield each edit and the function or class that it is in."""
        yield from self._body(ast.parse(self._source).body, "module")

    def _body(self, body: list[ast.stmt], scope: str) -> Iterator[tuple[str, _Edit]]:
        for statement in body:
            if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
                inner = statement.name if scope == "module" else f"{scope}.{statement.name}"
                if isinstance(statement, _FUNCTIONS):
                    for edit in self._function(statement):
                        yield inner, edit
                yield from self._body(statement.body, inner)
            elif not _is_left_alone(statement):
                for edit in self._statement(statement):
                    yield scope, edit
                for block in _blocks(statement):
                    yield from self._body(block, scope)

    def _function(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[_Edit]:
        for default in (*function.args.defaults, *function.args.kw_defaults):
            if default is not None:
                yield from self._expression(default)
        bound = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
        for statement in _own_statements(function.body):
            if _is_left_alone(statement):
                continue
            if _is_deletable(statement, bound, function.name):
                yield self._edit(statement, "pass")
            bound |= _bound_by(statement)
            if isinstance(statement, ast.Return) and _may_be_none(statement, function):
                yield self._edit(statement, "return None")

    def _statement(self, statement: ast.stmt) -> Iterator[_Edit]:
        """What its expressions can be mutated to, without those of inner statements."""
        if isinstance(statement, ast.If | ast.While):
            yield from self._negation(statement.test)
        if isinstance(statement, ast.AugAssign):
            yield from self._aug_assign(statement)
        for child in ast.iter_child_nodes(statement):
            is_annotation = isinstance(statement, ast.AnnAssign) and child is statement.annotation
            if isinstance(child, ast.expr | ast.withitem) and not is_annotation:
                yield from self._expression(child)

    def _expression(self, top: ast.AST) -> Iterator[_Edit]:
        pending = [top]
        while pending:
            node = pending.pop(0)
            if isinstance(node, ast.JoinedStr) or _is_log_call(node):
                continue
            pending.extend(ast.iter_child_nodes(node))
            if isinstance(node, ast.Compare):
                yield from self._comparison(node)
            elif isinstance(node, ast.Constant):
                yield from self._constant(node)
            elif isinstance(node, ast.BoolOp):
                yield from self._and_or(node)
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
                yield self._edit(node, f"({self._text(node.operand)})")
            elif isinstance(node, ast.BinOp):
                yield from self._arithmetic(node)
            elif isinstance(node, ast.IfExp):
                yield from self._negation(node.test)
            elif isinstance(node, ast.Tuple | ast.Set | ast.List):
                yield from self._members(node)
            elif isinstance(node, ast.comprehension):
                for test in node.ifs:
                    yield from self._negation(test)

    def _negation(self, test: ast.expr) -> Iterator[_Edit]:
        """Comparisons and negations have mutants of their own."""
        if not isinstance(test, ast.Compare | ast.UnaryOp | ast.BoolOp):
            yield self._edit(test, f"(not ({self._text(test)}))")

    def _comparison(self, node: ast.Compare) -> Iterator[_Edit]:
        left: ast.expr = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            word, swaps = _SWAPS[type(op)]
            for swap in swaps:
                yield self._between(left, right, word, swap)
            for side in (left, right):
                if isinstance(side, ast.Constant) and isinstance(side.value, str):
                    yield self._edit(side, repr(f"{side.value}~"))
            left = right

    def _and_or(self, node: ast.BoolOp) -> Iterator[_Edit]:
        word, swap = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield self._between(left, right, word, swap)

    def _arithmetic(self, node: ast.BinOp) -> Iterator[_Edit]:
        if type(node.op) in _SIGNS and not _is_text(node.left) and not _is_text(node.right):
            yield self._between(node.left, node.right, *_SIGNS[type(node.op)])

    def _aug_assign(self, node: ast.AugAssign) -> Iterator[_Edit]:
        if type(node.op) in _SIGNS:
            yield self._between(node.target, node.value, *_SIGNS[type(node.op)])

    def _constant(self, node: ast.Constant) -> Iterator[_Edit]:
        value = node.value
        if isinstance(value, bool):
            yield self._edit(node, str(not value))
        elif isinstance(value, int):
            yield self._edit(node, str(value + 1))
            if value <= LARGE:
                yield self._edit(node, str(value - 1))
        elif isinstance(value, float):
            yield self._edit(node, repr(value * 2 or 1.0))

    def _members(self, node: ast.Tuple | ast.Set | ast.List) -> Iterator[_Edit]:
        """Words of a table: `FAILURES`, `_RETRIED`, what a verdict may be."""
        for member in node.elts:
            if isinstance(member, ast.Constant) and isinstance(member.value, str):
                yield self._edit(member, repr(f"{member.value}~"))

    def _between(self, left: ast.expr, right: ast.expr, word: str, swap: str) -> _Edit:
        start, end = self._offset(left, is_end=True), self._offset(right)
        pattern = re.escape(word) if not word[0].isalpha() else rf"\b{word}\b"
        found = re.search(pattern, self._source[start:end])
        assert found is not None, f"{word!r} not found at line {left.lineno}"
        return _Edit(start + found.start(), start + found.end(), swap)

    def _edit(self, node: ast.expr | ast.stmt, text: str) -> _Edit:
        return _Edit(self._offset(node), self._offset(node, is_end=True), text)

    def _text(self, node: ast.expr) -> str:
        return self._source[self._offset(node) : self._offset(node, is_end=True)]

    def _offset(self, node: ast.expr | ast.stmt, *, is_end: bool = False) -> int:
        line = node.end_lineno if is_end else node.lineno
        column = node.end_col_offset if is_end else node.col_offset
        assert line is not None
        assert column is not None
        in_bytes = self._lines[line - 1].encode()[:column]
        return self._starts[line - 1] + len(in_bytes.decode())


def _own_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements of a function in order, without those of functions inside it."""
    for statement in body:
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            continue
        yield statement
        for block in _blocks(statement):
            yield from _own_statements(block)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if block:
            yield block
    for handler in getattr(statement, "handlers", ()):
        yield handler.body
    for case in getattr(statement, "cases", ()):
        yield case.body


def _is_left_alone(statement: ast.stmt) -> bool:
    """Docstrings, imports, logs, ``__slots__``, ``__all__`` and names of types."""
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(statement, ast.Expr):
        value = statement.value
        return isinstance(value, ast.Constant) or _is_log_call(value)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
        if ast.unparse(statement.annotation).endswith("TypeAlias"):
            return True
    return any(isinstance(t, ast.Name) and t.id in ("__slots__", "__all__") for t in targets)


def _is_deletable(statement: ast.stmt, bound: set[str], function: str) -> bool:
    """Without it the code must still run: a name that is never bound is found by anybody."""
    if isinstance(statement, ast.Expr | ast.Raise | ast.Continue | ast.Break | ast.Delete):
        return not _yields(statement)
    if isinstance(statement, ast.AugAssign):
        return True
    if isinstance(statement, ast.Assign):
        names = _bound_by(statement)
        return names <= bound and (bool(names) or function != "__init__")
    return False


def _bound_by(statement: ast.stmt) -> set[str]:
    """The names that a statement binds by itself, without those in its blocks."""
    pending: list[ast.AST] = [statement]
    names = set()
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        pending.extend(n for n in ast.iter_child_nodes(node) if not isinstance(n, ast.stmt))
    return names


def _yields(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Yield | ast.YieldFrom)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_log_call(node: ast.AST) -> bool:
    function = node.func if isinstance(node, ast.Call) else None
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "log"
    )


def _may_be_none(statement: ast.Return, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Callers expect None, or something false: else they would just crash."""
    value = statement.value
    if value is None or (isinstance(value, ast.Constant) and value.value in (None, False)):
        return False
    if isinstance(value, ast.Call) and isinstance(function.returns, ast.Constant):
        return function.returns.value is not None
    words = ast.unparse(function.returns) if function.returns is not None else ""
    return words in ("bool", "Any") or words.endswith("| None")
