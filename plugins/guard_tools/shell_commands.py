"""From a command text to all that it would run, through wrappers and nested scripts. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from shell_fields import Field, expand
from shell_lexer import Unparsable, Word
from shell_parser import Group, Pipeline, Redirect, Simple, parse
from shell_wrappers import (
    SHELLS,
    Script,
    inner_commands,
    inner_scripts,
    program,
    reads_script_from_input,
)

#: scripts in scripts (sh -c, eval, substitutions) that are followed.
MAX_SCRIPTS = 8
#: characters that are read and expanded for one text, nested scripts included.
MAX_CHARACTERS = 256 * 1024
#: commands that one text may come to.
MAX_COMMANDS = 4_000
#: what echo and printf do not print as it stands.
_ECHO_FORMAT = re.compile(r"-[neE]+|--|(?:%[sb](?:\\n)?)+")
_WRITES = frozenset({">", ">>", ">|", "&>", "&>>", ">&", "<>"})


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it would be run.

    Attributes:
        fields: the program and its arguments.
        reads, writes: targets of its redirections.
        input: the text of its here document or here string, if it is known.
        is_wrapper: what it runs is a command of its own; then *fields* is the program alone.
    """

    fields: tuple[Field, ...]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    input: str | None = None
    is_wrapper: bool = False

    @property
    def program(self) -> str:
        """Its name without a path, ``""`` when it cannot be known."""
        return program(self.fields[0]) if self.fields else ":"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the program."""
        return tuple(field.text for field in self.fields[1:])


#: a pipeline: stages, each of one command and what it wraps, or of a group's commands.
Run = tuple[tuple[Command, ...], ...]


class Calls(Unparsable):
    """A function that calls itself twice in one pipeline: a fork bomb."""


def runs(source: str) -> list[Run]:
    """Return every pipeline in *source*, in its substitutions and in the scripts it starts.

    Raises:
        Unparsable: If it is not a command, or nested too deep.
        Calls: If it is a fork bomb.
    """
    reader = _Reader()
    reader.read(source, {}, 0)
    return reader.found


def runs_of_words(words: list[str]) -> list[Run]:
    """Return what an argument list (no shell) would run."""
    reader = _Reader()
    command = Command(tuple(Field(word) for word in words))
    reader.found.append((tuple(reader.unwrap(command, None, 0)),))
    return reader.found


class _Reader:
    def __init__(self) -> None:
        self.found: list[Run] = []
        self.scope: dict[str, tuple[str, ...]] = {}
        self.commands = 0
        self.characters = 0  # read so far: eval "$a" eval "$a" … must not take for ever

    def read(self, source: str, scope: dict[str, tuple[str, ...]], depth: int) -> list[Run]:
        """Add what *source* runs, and return the pipelines of its own level."""
        if depth > MAX_SCRIPTS:
            raise Unparsable(f"more than {MAX_SCRIPTS} scripts in scripts")
        self.characters += len(source)
        if self.characters > MAX_CHARACTERS:
            raise Unparsable(f"scripts of more than {MAX_CHARACTERS} characters in all")
        self.scope.update(scope)
        return self.pipelines(parse(source), depth)

    def pipelines(self, pipelines: tuple[Pipeline, ...], depth: int) -> list[Run]:
        own = [self.pipeline(pipeline, depth) for pipeline in pipelines]
        self.found += own
        return own

    def pipeline(self, pipeline: Pipeline, depth: int) -> Run:
        stages: list[tuple[Command, ...]] = []
        piped: str | None = None
        for stage in pipeline.stages:
            if isinstance(stage, Group):
                commands = self.group(stage, depth)
            else:
                commands = self.simple(stage, piped, depth)
            stages.append(commands)
            piped = _output(commands, piped)
        return tuple(stages)

    def group(self, group: Group, depth: int) -> tuple[Command, ...]:
        own = self.pipelines(group.pipelines, depth)
        if group.name is not None:
            for run in own:
                if sum(c.program == group.name.lower() for stage in run for c in stage) > 1:
                    raise Calls(f"function {group.name!r} calls itself twice")
        commands = tuple(command for run in own for stage in run for command in stage)
        around = self.redirected(Command(()), group.redirects, depth)
        return (*commands, around) if group.redirects else commands

    def simple(self, simple: Simple, piped: str | None, depth: int) -> tuple[Command, ...]:
        for name, word in simple.assignments:
            self.scope[name] = tuple(f.text for f in self.expand((word,), depth)) or ("",)
        fields = self.expand(simple.words, depth)
        if fields and fields[0].text == "for" and len(fields) > 2:
            self.scope[fields[1].text] = tuple(field.text for field in fields[3:]) or ("",)
        command = self.redirected(Command(fields), simple.redirects, depth)
        return tuple(self.unwrap(command, piped if command.input is None else command.input, depth))

    def redirected(self, command: Command, redirects: tuple[Redirect, ...], depth: int) -> Command:
        reads: list[str] = []
        writes: list[str] = []
        text: str | None = None
        for redirect in redirects:
            targets = [field.text for field in self.expand((redirect.target,), depth)]
            if redirect.operator in {"<<", "<<-", "<<<"}:
                text = " ".join(targets)
            elif redirect.operator in _WRITES:
                writes += [t for t in targets if not t.rstrip("-").isdigit() and t != "-"]
            else:
                reads += targets
        return replace(command, reads=tuple(reads), writes=tuple(writes), input=text)

    def expand(self, words: tuple[Word, ...], depth: int) -> tuple[Field, ...]:
        fields = expand(words, self.scope, lambda source: self.evaluate(source, depth))
        self.characters += sum(len(field.text) for field in fields)
        return fields

    def evaluate(self, source: str, depth: int) -> tuple[str | None, frozenset[str]]:
        own = self.read(source, {}, depth + 1)
        programs = frozenset(c.program for run in own for stage in run for c in stage)
        return _output(own[0][0], None) if len(own) == 1 and len(own[0]) == 1 else None, programs

    def unwrap(self, command: Command, piped: str | None, depth: int) -> list[Command]:
        """Return *command* and what it runs, the wrappers first."""
        self.commands += 1
        if self.commands > MAX_COMMANDS:
            raise Unparsable(f"more than {MAX_COMMANDS} commands")
        if not command.fields:
            return [command]
        if depth > 2 * MAX_SCRIPTS:
            raise Unparsable("more wrappers in wrappers than are followed")
        for script in inner_scripts(command.fields):
            self.script(script, depth)
        is_shell = command.program in SHELLS and reads_script_from_input(command.fields)
        if is_shell and piped is not None:
            self.script(Script(piped), depth)
        inner = inner_commands(command.fields)
        if not inner:
            return [command]
        found: list[Command] = []
        for fields in inner:
            given = command.program == "xargs" and piped is not None
            fed = tuple(Field(text) for text in (piped or "").split()) if given else ()
            nested = replace(command, fields=fields + fed)
            found += self.unwrap(nested, None if given else piped, depth + 1)
        if command.program == "find":
            return [command, *found]
        return [replace(command, fields=command.fields[:1], is_wrapper=True), *found]

    def script(self, script: Script, depth: int) -> None:
        positional: dict[str, tuple[str, ...]] = {
            str(index): (text,) for index, text in enumerate(script.arguments)
        }
        if script.arguments[1:]:
            positional |= {"@": script.arguments[1:], "*": script.arguments[1:]}
        self.read(script.source, positional, depth + 1)


def _output(commands: tuple[Command, ...], piped: str | None) -> str | None:
    """Return what a stage prints, when that can be known: of echo, printf, cat and tee."""
    if len(commands) != 1 or not commands[0].fields:
        return None
    command = commands[0]
    if command.program in {"echo", "printf"}:
        words = [text for text in command.arguments if not _ECHO_FORMAT.fullmatch(text)]
        return " ".join(words).replace("\\n", "\n")
    if command.program == "tee" or (command.program == "cat" and not command.arguments):
        return piped if command.input is None else command.input
    return None
