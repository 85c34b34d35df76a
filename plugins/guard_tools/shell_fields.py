"""What the words of a command come to, as far as it can be known without running it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from shell_lexer import Substitution, Text, Unparsable, Variable, Word

#: fields that brace expansion may make of one word, and characters that expansion may come to.
MAX_BRACES = 1_024
MAX_EXPANSION = 256 * 1024
_BRACES = re.compile(r"\{([^{}\s]*,[^{}\s]*)\}")

#: variable → its values; several for the variable of a ``for``.
Scope = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Field:
    """One expanded argument.

    Attributes:
        text: ``$name`` and ``$()`` stand for what cannot be known.
        runs: the programs in its substitutions.
    """

    text: str
    runs: frozenset[str] = frozenset()


#: reads the source of a substitution: its output when it can be known, and the programs in it.
Evaluate = Callable[[str], tuple[str | None, frozenset[str]]]

_KNOWN: Scope = {"HOME": ("~",), "PWD": (".",), "IFS": (" ",)}


def expand(words: Iterable[Word], scope: Scope, evaluate: Evaluate) -> tuple[Field, ...]:
    """Expand variables, substitutions and braces in *words*.

    Raises:
        Unparsable: If that is more than MAX_EXPANSION characters: ``a=$a$a; a=$a$a; …``
    """
    found: list[Field] = []
    size = 0
    for word in words:
        fields = _fields(word, scope, evaluate)
        found += (Field(text, field.runs) for field in fields for text in _braces(field.text, word))
        size += sum(len(field.text) + 1 for field in fields)
        if size > MAX_EXPANSION:
            raise Unparsable(f"words that expand to more than {MAX_EXPANSION} characters")
    return tuple(found)


def _fields(word: Word, scope: Scope, evaluate: Evaluate) -> list[Field]:
    fields = [Field("")]
    size = 0
    is_quoted = False
    for part in word.parts:
        match part:
            case Text(value, quoted):
                pieces, runs = [value], frozenset[str]()
            case Variable(name, quoted, default):
                pieces, runs = _values(name, default, scope), frozenset()
            case Substitution(source, quoted):
                output, runs = evaluate(source)
                pieces = ["$()" if output is None else output]
        is_quoted = is_quoted or quoted
        if not quoted and not isinstance(part, Text):
            pieces = _split(pieces)
        size += sum(len(piece) + 1 for piece in pieces)
        if size > MAX_EXPANSION:
            raise Unparsable(f"a word that expands to more than {MAX_EXPANSION} characters")
        _append(fields, pieces, runs)
    return [field for field in fields if field.text or field.runs or is_quoted]


def _values(name: str, default: str | None, scope: Scope) -> list[str]:
    unknown = (f"${name}" if default is None else default,)
    return list(scope.get(name) or _KNOWN.get(name) or unknown)


def _split(values: list[str]) -> list[str]:
    """Split as unquoted text is split; blanks at an end separate from what is beside."""
    pieces: list[str] = []
    for value in values:
        inner = value.split()
        pieces += ["", *inner] if value[:1].isspace() else inner
        pieces += [""] if inner and value[-1:].isspace() else []
        pieces += [""] if value.isspace() else []
    return pieces or [""]


def _append(fields: list[Field], pieces: list[str], runs: frozenset[str]) -> None:
    last = fields[-1]
    fields[-1] = Field(last.text + pieces[0], last.runs | runs)
    fields += (Field(piece, runs) for piece in pieces[1:])


def _braces(text: str, word: Word) -> list[str]:
    """``/{bin,etc}`` → ``/bin`` and ``/etc``; a quoted brace stays."""
    if any(isinstance(part, Text) and part.quoted and "{" in part.value for part in word.parts):
        return [text]
    pieces = _BRACES.split(text)
    if len(pieces) == 1:
        return [text]
    choices = [p.split(",") if index % 2 else [p] for index, p in enumerate(pieces)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MAX_BRACES:
        raise Unparsable(f"braces that expand to more than {MAX_BRACES} words")
    return ["".join(chosen) for chosen in product(*choices)]
