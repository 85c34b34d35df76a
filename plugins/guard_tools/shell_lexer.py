"""From the text of a shell command to words and operators. Pure.

A small grammar of POSIX shells and bash: quotes, escapes, variables, substitutions, here documents,
comments. What a shell would not read raises :class:`Unparsable`; nothing is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

#: characters of a command; a longer one is refused before it is read.
MAX_COMMAND = 64 * 1024
#: nested quotes and substitutions that are followed.
MAX_NESTING = 32

OPERATOR = re.compile(
    r"&>>|&>|&&|&|\|\||\|&|\||;;&|;;|;&|;|\(|\)|\n|\d*(?:<<<|<<-|<<|<>|<&|<|>>|>\||>&|>)"
)
_NAME = re.compile(r"\w+|[@*#?$!-]")
_PARAMETER = re.compile(r"!?(\w+|[@*])(?::?[-=]([^${}`\"']*))?")
_PLAIN = re.compile(r"[^\\'\"`$<>()|&;\s]+")
_SPECIAL = re.compile(r"[$`\\]")
_ANSI = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|([0-7]{1,3})|(.))", re.DOTALL)
_ANSI_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f"}


class Unparsable(ValueError):
    """The text is not a command that this grammar knows."""


@dataclass(frozen=True, slots=True)
class Text:
    """Characters that stand for themselves."""

    value: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``, ``${name}`` or ``${name:-default}``."""

    name: str
    quoted: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Substitution:
    """``$(…)``, backticks, ``<(…)`` or ``>(…)``: the source of what is run in it."""

    source: str
    quoted: bool = False


Part = Text | Variable | Substitution


@dataclass(frozen=True, slots=True)
class Word:
    """One shell word, before expansion."""

    parts: tuple[Part, ...]

    @property
    def plain(self) -> str | None:
        """The word as it stands, None when a part is quoted or has to be expanded."""
        texts = [part.value for part in self.parts if isinstance(part, Text) and not part.quoted]
        return "".join(texts) if len(texts) == len(self.parts) else None


@dataclass(frozen=True, slots=True)
class Operator:
    """``;``, ``|``, ``>`` … with *body* for the text of a here document."""

    text: str
    body: Word | None = None


Token = Word | Operator


def tokens(source: str) -> list[Token]:
    """Split *source* into words and operators.

    Raises:
        Unparsable: If a quote, substitution or here document does not end, or it is too long.
    """
    if len(source) > MAX_COMMAND:
        raise Unparsable(f"{len(source)} characters, expected at most {MAX_COMMAND}")
    if "\0" in source:
        raise Unparsable("a NUL character")
    return _Lexer(source).run()


class _Lexer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.position = 0
        self.tokens: list[Token] = []
        self.documents: list[int] = []  # operators whose here document comes after this line

    def run(self) -> list[Token]:
        while self.position < len(self.source):
            self._step()
        if self.documents:
            raise Unparsable("a here document without its text")
        return self.tokens

    def _step(self) -> None:
        source, position = self.source, self.position
        if source.startswith("\\\n", position):
            self.position += 2
        elif source[position] in " \t\r":
            self.position += 1
        elif source[position] == "#":
            end = source.find("\n", position)
            self.position = len(source) if end < 0 else end
        elif source.startswith(("<(", ">("), position) or not (
            found := OPERATOR.match(source, position)
        ):
            self.tokens.append(self._word())
        else:
            self._operator(found[0])

    def _operator(self, text: str) -> None:
        self.position += len(text)
        self.tokens.append(Operator(text))
        if text.lstrip("0123456789") in {"<<", "<<-"}:
            self.documents.append(len(self.tokens) - 1)
        elif text == "\n" and self.documents:
            for index in self.documents:
                self._read_document(index)
            self.documents = []

    def _read_document(self, index: int) -> None:
        operator, delimiter = self.tokens[index], self.tokens[index + 1]
        if not isinstance(operator, Operator) or not isinstance(delimiter, Word):
            raise Unparsable("a here document without a delimiter")
        end_line = "".join(part.value for part in delimiter.parts if isinstance(part, Text))
        start = self.position
        while self.position < len(self.source):
            line_end = self.source.find("\n", self.position)
            line_end = len(self.source) if line_end < 0 else line_end
            line = self.source[self.position : line_end]
            if (line.lstrip("\t") if operator.text.endswith("-") else line) == end_line:
                text = self.source[start : self.position]
                # a quoted delimiter keeps the text as it is, else substitutions in it are run
                literal = delimiter.plain is None
                body = Word((Text(text, quoted=True),)) if literal else Word(quoted_parts(text))
                self.tokens[index] = replace(operator, body=body)
                self.position = line_end
                return
            self.position = line_end + 1
        raise Unparsable(f"a here document without its end {end_line!r}")

    def _word(self) -> Word:
        parts: list[Part] = []
        while self.position < len(self.source):
            character = self.source[self.position]
            at_process = self.source.startswith(("<(", ">("), self.position)
            if character in " \t\r\n;|&()<>" and not at_process:
                break
            parts += self._part(character)
        return Word(tuple(parts))

    def _part(self, character: str) -> tuple[Part, ...]:
        source, position = self.source, self.position
        if plain := _PLAIN.match(source, position):
            self.position = plain.end()
            return (Text(plain[0]),)
        if character == "\\":
            self.position += 2
            escaped = source[position + 1 : position + 2]
            return () if escaped == "\n" else (Text(escaped, quoted=True),)
        if character == "'":
            self.position = _find(source, "'", position + 1) + 1
            return (Text(source[position + 1 : self.position - 1], quoted=True),)
        if character == '"' or source.startswith('$"', position):
            start = source.index('"', position) + 1
            self.position = closing(source, start, '"') + 1
            return (Text("", quoted=True), *quoted_parts(source[start : self.position - 1]))
        if source.startswith("$'", position):
            return (self._ansi_quoted(),)
        if source.startswith(("<(", ">("), position):
            self.position = closing(source, position + 2, ")") + 1
            return (Substitution(source[position + 2 : self.position - 1]),)
        part, self.position = expansion(source, position, quoted=False)
        return part

    def _ansi_quoted(self) -> Text:
        start = self.position + 2
        end = start
        while not self.source.startswith("'", end):
            end += 2 if self.source.startswith("\\", end) else 1
            if end >= len(self.source):
                raise Unparsable("a quote that does not end")
        self.position = end + 1
        return Text(_ANSI.sub(_unescape, self.source[start:end]), quoted=True)


def _unescape(match: re.Match[str]) -> str:
    hexadecimal = match[1] or match[2]
    if hexadecimal:
        return chr(int(hexadecimal, 16))
    return chr(int(match[3], 8)) if match[3] else _ANSI_LETTERS.get(match[4], match[4])


def quoted_parts(text: str) -> tuple[Part, ...]:
    """Return the parts of *text*, which stood between double quotes."""
    parts: list[Part] = []
    position = 0
    while position < len(text):
        if text[position] in "$`":
            part, position = expansion(text, position, quoted=True)
            parts += part
        elif text[position] == "\\" and text[position + 1 : position + 2] in {*'$`"\\\n'}:
            escaped = text[position + 1]
            parts.append(Text("" if escaped == "\n" else escaped, quoted=True))
            position += 2
        else:
            special = _SPECIAL.search(text, position + 1)
            end = special.start() if special else len(text)
            parts.append(Text(text[position:end], quoted=True))
            position = end
    return tuple(parts)


def expansion(text: str, start: int, *, quoted: bool) -> tuple[tuple[Part, ...], int]:
    """Return what stands for the ``$`` or backtick at *start*, and where it ends."""
    if text[start] == "`":
        end = closing(text, start + 1, "`")
        source = re.sub(r"\\([`$\\])", r"\1", text[start + 1 : end])
        return (Substitution(source, quoted),), end + 1
    if text.startswith("$((", start):
        end = closing(text, start + 2, ")") + 1
        inner = quoted_parts(text[start + 3 : end - 2])
        return (Text("0", quoted), *(p for p in inner if isinstance(p, Substitution))), end
    if text.startswith("$(", start):
        end = closing(text, start + 2, ")")
        return (Substitution(text[start + 2 : end], quoted),), end + 1
    if text.startswith("${", start):
        end = closing(text, start + 2, "}")
        return _parameter(text[start + 2 : end], quoted), end + 1
    if name := _NAME.match(text, start + 1):
        return (Variable(name[0], quoted),), name.end()
    return (Text("$", quoted),), start + 1


def _parameter(inner: str, quoted: bool) -> tuple[Part, ...]:
    if known := _PARAMETER.fullmatch(inner):
        return (Variable(known[1], quoted, known[2]),)
    runs = tuple(p for p in quoted_parts(inner) if isinstance(p, Substitution))
    return (Variable(inner.split(":")[0].split("[")[0] or "?", quoted), *runs)


def _find(text: str, character: str, start: int) -> int:
    found = text.find(character, start)
    if found < 0:
        raise Unparsable("a quote that does not end")
    return found


_OPENERS = (("$(", ")"), ("${", "}"), ("`", "`"), ('"', '"'))


def closing(text: str, start: int, closer: str) -> int:
    """Return where the *closer* of what was opened before *start* stands, quotes respected."""
    stack = [closer]
    position = start
    while position < len(text):
        inside = stack[-1]
        if text[position] == "\\":
            position += 2
            continue
        if text[position] == inside:
            stack.pop()
            if not stack:
                return position
        elif text[position] == "'" and inside not in {'"', "`"}:
            position = _find(text, "'", position + 1)
        elif text[position] == "(" and inside == ")":
            stack.append(")")
        elif text.startswith("<<", position) and inside == ")":
            position = _after_document(text, position)
        elif inside != "`":
            opener, ends = next((o for o in _OPENERS if text.startswith(o[0], position)), ("", ""))
            if opener:
                stack.append(ends)
                position += len(opener) - 1
        if len(stack) > MAX_NESTING:
            raise Unparsable(f"more than {MAX_NESTING} nested quotes and substitutions")
        position += 1
    raise Unparsable(f"an opened {closer!r} that does not end")


_DOCUMENT = re.compile(r"<<-?[ \t]*(['\"\\]?)([A-Za-z_][\w.-]*)\1?[^\n]*\n")


def _after_document(text: str, position: int) -> int:
    """Return where the here document that begins at *position* ends, if one does.

    Apostrophes and brackets in its text are no quotes: agents write commit messages so.
    """
    begin = _DOCUMENT.match(text, position)
    if begin is None or text.startswith("<<<", position):
        return position + 1
    line = re.compile(rf"^\t*{re.escape(begin[2])}$", re.MULTILINE)
    end = line.search(text, begin.end())
    if end is None:
        raise Unparsable(f"a here document without its end {begin[2]!r}")
    return end.end() - 1
