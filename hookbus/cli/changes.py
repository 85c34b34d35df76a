"""What differs between two payloads, as lines for a terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any, Final, NamedTuple

from rich.text import Text

from hookbus.cli.printable import ELLIPSIS, clean, compact, shorten, shorten_middle
from hookbus.patches import MISSING, difference, pointer, resolve

REMOVED: Final = "red"
ADDED: Final = "green"
QUIET: Final = "dim"

MAX_FIELDS: Final = 12  # changed fields that are shown
MAX_TEXT: Final = 130  # characters of a changed text that are shown without leaving anything out
MAX_LINE: Final = 400  # characters of a line, at most
CONTEXT: Final = 24  # characters around a change in a longer text
MAX_COMPARED: Final = (
    250_000  # pairs of words; beyond, all between the first and last change is one
)

#: a word with a blank beside it
_SENTENCE: Final = re.compile(r"\w\W*\s|\s\W*\w")
_WORDS: Final = re.compile(r"\w+|\s+|.", re.DOTALL)


class Piece(NamedTuple):
    """A stretch of two texts; both are the same where nothing changed."""

    before: str
    after: str

    @property
    def is_same(self) -> bool:
        return self.before == self.after


class Change(NamedTuple):
    """One field that differs.

    Attributes:
        path: its JSON Pointer, fit to print.
        lines: ``- old`` and ``+ new``; only one of them where the field was added or removed.
    """

    path: str
    lines: list[Text]


def changes(before: Any, after: Any) -> list[Change]:
    """Return every field that differs; beyond :data:`MAX_FIELDS`, how many more there are."""
    operations = difference(before, after)
    paths = [pointer(operation.path) for operation in operations]
    found = [
        Change(
            shorten(path or "everything", MAX_TEXT),
            _sides(resolve(before, path), resolve(after, path)),
        )
        for path in paths[:MAX_FIELDS]
    ]
    if len(paths) > MAX_FIELDS:
        found.append(Change(f"{ELLIPSIS} and {len(paths) - MAX_FIELDS} more fields", []))
    return found


def _sides(old: Any, new: Any) -> list[Text]:
    if old is MISSING:
        return [_line("+", ADDED, [Piece("", compact(new))])]
    if new is MISSING:
        return [_line("-", REMOVED, [Piece(compact(old), "")])]
    pieces = compare(compact(old), compact(new))
    return [_line("-", REMOVED, pieces), _line("+", ADDED, pieces)]


def compare(before: str, after: str) -> list[Piece]:
    """Cut two texts into stretches that are the same and stretches that differ, word by word."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    pieces = [_piece(old[:head], new[:head])]
    if len(middle_old) * len(middle_new) > MAX_COMPARED:
        pieces.append(_piece(middle_old, middle_new))
    else:
        matcher = SequenceMatcher(None, middle_old, middle_new, autojunk=False)
        pieces += (
            _piece(middle_old[a:b], middle_new[c:d]) for _, a, b, c, d in matcher.get_opcodes()
        )
    pieces.append(_piece(old[len(old) - tail :], new[len(new) - tail :]))
    return list(_without_islands([piece for piece in pieces if piece != Piece("", "")]))


def _common(old: list[str], new: list[str]) -> int:
    count = 0
    for left, right in zip(old, new, strict=False):
        if left != right:
            break
        count += 1
    return count


def _piece(old: Iterable[str], new: Iterable[str]) -> Piece:
    return Piece("".join(old), "".join(new))


def _without_islands(pieces: list[Piece]) -> Iterator[Piece]:
    """Join changes that only blanks, punctuation or a part of a word keep apart: it is chance."""
    held: Piece | None = None
    for index, piece in enumerate(pieces):
        between = 0 < index < len(pieces) - 1
        is_island = piece.is_same and between and not _SENTENCE.search(piece.before)
        if held is not None and (is_island or not piece.is_same):
            held = Piece(held.before + piece.before, held.after + piece.after)
        elif piece.is_same:
            if held is not None:
                yield held
            held = None
            yield piece
        else:
            held = piece
    if held is not None:
        yield held


def _line(sign: str, colour: str, pieces: list[Piece]) -> Text:
    line = Text.assemble((f"{sign} ", colour))
    is_removed = sign == "-"
    is_long = max(sum(len(p.before) for p in pieces), sum(len(p.after) for p in pieces)) > MAX_TEXT
    for index, piece in enumerate(pieces):
        text = piece.before if is_removed else piece.after
        if not piece.is_same:
            line.append(shorten_middle(text, MAX_TEXT), style=f"bold {colour}")
        elif is_long:
            is_last = index == len(pieces) - 1
            line.append(_context(text, is_first=index == 0, is_last=is_last), style=QUIET)
        else:
            line.append(clean(text), style=QUIET)
    line.truncate(MAX_LINE, overflow="ellipsis")
    return line


def _context(text: str, *, is_first: bool, is_last: bool) -> str:
    """Keep of an unchanged stretch the words next to a change."""
    kept = (0 if is_first else CONTEXT) + (0 if is_last else CONTEXT)
    if len(text) <= kept + 1:
        return clean(text)
    head = "" if is_first else clean(text[:CONTEXT])
    tail = "" if is_last else clean(text[-CONTEXT:])
    return f"{head[: head.rfind(' ') + 1] or head}{ELLIPSIS}{tail[tail.find(' ') + 1 :]}"
