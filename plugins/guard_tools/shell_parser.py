"""From words and operators to pipelines. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shell_lexer import Operator, Text, Token, Unparsable, Word, tokens

#: groups in groups that are followed.
MAX_GROUPS = 16
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=")
#: words after which another command begins.
_TRANSPARENT = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "time"})
_REDIRECTS = frozenset({"<", ">", ">>", ">|", "<>", "<&", ">&", "&>", "&>>", "<<", "<<-", "<<<"})
_ENDS = frozenset({")", ";;", ";&", ";;&"})
_SEPARATORS = frozenset({";", "&", "&&", "||", "\n"})


@dataclass(frozen=True, slots=True)
class Redirect:
    """``> file``; for ``<<`` and ``<<<`` *target* is the text itself."""

    operator: str
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    """One command: assignments, words, redirections."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """``( … )``, ``{ …; }``, the arms of a case, or the body of the function *name*."""

    pipelines: tuple[Pipeline, ...]
    redirects: tuple[Redirect, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands whose outputs feed the next one."""

    stages: tuple[Simple | Group, ...]


def parse(source: str) -> tuple[Pipeline, ...]:
    """Parse a whole command text.

    Raises:
        Unparsable: If it is not a command of this grammar.
    """
    parser = _Parser(tokens(source))
    pipelines = parser.pipelines(frozenset())
    if not parser.at_end:
        raise Unparsable(f"{parser.shown()} where a command was expected")
    return pipelines


@dataclass(slots=True)
class _Parser:
    tokens: list[Token]
    position: int = 0
    depth: int = 0

    @property
    def at_end(self) -> bool:
        return self.position >= len(self.tokens)

    def shown(self) -> str:
        token = None if self.at_end else self.tokens[self.position]
        return repr(token.text) if isinstance(token, Operator) else "a word" if token else "the end"

    def operator(self) -> str | None:
        """The operator that comes next, without the number of a file descriptor."""
        if self.at_end or not isinstance(token := self.tokens[self.position], Operator):
            return None
        return token.text.lstrip("0123456789")

    def word(self) -> Word | None:
        token = None if self.at_end else self.tokens[self.position]
        return token if isinstance(token, Word) else None

    def keyword(self) -> str | None:
        word = self.word()
        return word.plain if word else None

    def take(self) -> Token:
        self.position += 1
        return self.tokens[self.position - 1]

    def expect(self, text: str) -> None:
        if text not in (self.operator(), self.keyword()):
            raise Unparsable(f"{self.shown()} where {text!r} was expected")
        self.take()

    def pipelines(self, closers: frozenset[str]) -> tuple[Pipeline, ...]:
        """Read until one of *closers* (which stays) or the end."""
        found: list[Pipeline] = []
        while not self.at_end:
            if self.operator() in _SEPARATORS:
                self.take()
            elif self.operator() in _ENDS | closers or self.keyword() in closers:
                break
            else:
                found.append(self.pipeline())
        return tuple(found)

    def pipeline(self) -> Pipeline:
        stages = [self.stage()]
        while self.operator() in {"|", "|&"}:
            self.take()
            while self.operator() == "\n":
                self.take()
            stages.append(self.stage())
        return Pipeline(tuple(stages))

    def stage(self) -> Simple | Group:
        while self.keyword() in _TRANSPARENT:
            self.take()
            while self.operator() == "\n":
                self.take()
        if self.operator() == "(":
            return self.group("(", ")")
        if self.keyword() == "{":
            return self.group("{", "}")
        if self.keyword() == "case":
            return self.case()
        if self.keyword() == "[[":
            return self.condition()
        if self.keyword() == "function":
            self.take()
            return self.function()
        following = self.tokens[self.position + 1 : self.position + 3]
        if self.word() and following == [Operator("("), Operator(")")]:
            return self.function()
        return self.simple()

    def group(self, opener: str, closer: str, name: str | None = None) -> Group:
        self.depth += 1
        if self.depth > MAX_GROUPS:
            raise Unparsable(f"more than {MAX_GROUPS} groups in groups")
        self.expect(opener)
        inner = self.pipelines(frozenset({closer}))
        self.expect(closer)
        self.depth -= 1
        return Group(inner, self.redirects(), name)

    def function(self) -> Group:
        word = self.word()
        name = "".join(p.value for p in word.parts if isinstance(p, Text)) if word else ""
        self.take()
        while self.operator() in {"(", ")", "\n"}:
            self.take()
        return self.group("{", "}", name)

    def case(self) -> Group:
        self.take()
        subject = Simple((), tuple(self.words()), ())
        found = [Pipeline((subject,))]
        self.depth += 1
        if self.depth > MAX_GROUPS:
            raise Unparsable(f"more than {MAX_GROUPS} groups in groups")
        while self.keyword() != "esac":
            while self.operator() in {"\n", *_ENDS} - {")"}:
                self.take()
            if self.keyword() == "esac":
                break
            while self.operator() in {"(", "|"} or self.word():
                self.take()
            self.expect(")")
            found += self.pipelines(frozenset({"esac"}))
        self.take()
        self.depth -= 1
        return Group(tuple(found), self.redirects())

    def words(self) -> list[Word]:
        """Read words up to ``in`` or an operator; of a case, what it looks at."""
        found: list[Word] = []
        while (word := self.word()) and word.plain != "in":
            found.append(word)
            self.take()
        if self.word():
            self.take()
        return found

    def condition(self) -> Simple:
        """``[[ … ]]``: its words are kept, its operators mean nothing to us."""
        found: list[Word] = []
        while not self.at_end and self.keyword() != "]]":
            token = self.take()
            found += [token] if isinstance(token, Word) else []
        self.expect("]]")
        return Simple((), tuple(found), self.redirects())

    def redirects(self) -> tuple[Redirect, ...]:
        found: list[Redirect] = []
        while self.operator() in _REDIRECTS:
            found.append(self.redirect())
        return tuple(found)

    def redirect(self) -> Redirect:
        token = self.take()
        target = self.word()
        if target is None or not isinstance(token, Operator):
            raise Unparsable(f"{self.shown()} where the target of a redirection was expected")
        self.take()
        return Redirect(token.text.lstrip("0123456789"), token.body or target)

    def simple(self) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while not self.at_end:
            if self.operator() in _REDIRECTS:
                redirects.append(self.redirect())
            elif (word := self.word()) is None:
                break
            else:
                self.take()
                assigned = None if words else _assignment(word)
                if assigned is None:
                    words.append(word)
                else:
                    assignments.append((assigned[0], self.value(assigned[1], words)))
        if not (assignments or words or redirects):
            raise Unparsable(f"{self.shown()} where a command was expected")
        return Simple(tuple(assignments), tuple(words), tuple(redirects))

    def value(self, word: Word, words: list[Word]) -> Word:
        """Return an assignment's value; the words of ``a=(…)`` are kept as words."""
        if not word.parts and self.operator() == "(":
            self.take()
            while inner := self.word():
                words.append(inner)
                self.take()
            self.expect(")")
        return word


def _assignment(word: Word) -> tuple[str, Word] | None:
    first = word.parts[0] if word.parts else None
    if not isinstance(first, Text) or first.quoted or not (name := _ASSIGNMENT.match(first.value)):
        return None
    rest = first.value[name.end() :]
    return name[1], Word(((Text(rest),) if rest else ()) + word.parts[1:])
