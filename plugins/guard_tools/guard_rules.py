"""From a tool's name and arguments to the reason why it must not run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from guard_commands import dangerous
from guard_config import Config
from guard_hosts import METADATA, NotAUrl, host_of, listed, private
from guard_paths import CREDENTIALS, forbidden, is_inside
from shell_commands import Calls, Command, Run, runs, runs_of_words
from shell_lexer import Unparsable

#: programs whose words are text, or that only ask whether a file is there.
_TEXT_PROGRAMS = frozenset(["echo", "printf", "test", "[", "[[", "true", "false", ":", "export"])
#: programs whose first operand is a pattern or a program of their own.
_PATTERN_PROGRAMS = frozenset(
    ["grep", "egrep", "fgrep", "rg", "ag", "ack", "sed", "awk", "gawk", "jq", "yq", "perl"]
)
#: options of theirs that give the pattern, so that every operand is a file.
_PATTERN_OPTION = re.compile(r"--(?:regexp|expression|file|from-file)|-[A-Za-z]*[ef]")
#: the word after one of these is text.
_TEXT_OPTIONS = {
    "git": frozenset(["-m", "-am", "--message"]),
    "gh": frozenset(["-t", "-b", "--title", "--body", "-m"]),
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_HTTP_CLIENTS = frozenset(["curl", "wget", "http", "https", "xh", "aria2c", "lynx", "w3m"])


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a tool must not run.

    Attributes:
        code: ``dangerous_command``, ``forbidden_path``, ``forbidden_host`` or ``unparsable``.
        reason: the argument, the rule and the word; for operators.
    """

    code: str
    reason: str


def check(tool: str, args: Mapping[str, Any], config: Config) -> Finding | None:
    """Return the first thing that forbids this call, None when nothing does."""
    commands, paths, urls = (
        {_plain(name) for name in names}
        for names in (config.command_args, config.path_args, config.url_args)
    )
    for name, value in _named(args):
        if name in commands:
            found = _check_command(name, value, config)
        elif name in paths:
            found = next((f for p in _strings(value) if (f := _check_path(tool, p, config))), None)
        elif name in urls:
            found = next((f for u in _strings(value) if (f := _check_url(u, config))), None)
        else:
            continue
        if found:
            return Finding(found.code, f"args.{name}: {found.reason}")
    return None


def _plain(name: str) -> str:
    """``filePath``, ``file-path`` and ``file_path`` are the same argument."""
    return name.replace("_", "").replace("-", "").lower()


def _named(args: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every argument that holds text, however deep."""
    for name, value in args.items():
        if isinstance(value, Mapping):
            yield from _named(value)
        elif isinstance(value, str | list | tuple):
            yield _plain(name), value
            if not isinstance(value, str):
                for item in value:
                    yield from _named(item) if isinstance(item, Mapping) else ()


def _strings(value: str | list[Any] | tuple[Any, ...]) -> list[str]:
    return [value] if isinstance(value, str) else [item for item in value if isinstance(item, str)]


def _check_command(name: str, value: str | list[Any], config: Config) -> Finding | None:
    words = _strings(value)
    # ["rm", "-rf", "x"] is one call, ["ls -l", "rm x"] are two commands
    is_call = not isinstance(value, str) and bool(words) and not re.search(r"\s", words[0])
    try:
        if is_call and not name.endswith("s"):
            found = runs_of_words(words)
        else:
            found = [run for text in words for run in runs(text)]
    except Calls as e:
        return Finding("dangerous_command", f"fork_bomb: {e}")
    except Unparsable as e:
        return Finding("unparsable", f"cannot be read as a command: {e}")
    return next((f for run in found if (f := _check_run(run, config))), None)


def _check_run(run: Run, config: Config) -> Finding | None:
    if reason := dangerous(run, config.deny_commands):
        return Finding("dangerous_command", reason)
    for command in (command for stage in run for command in stage):
        if command.is_wrapper:
            continue
        if found := _check_command_words(command, config):
            return found
    return None


def _check_command_words(command: Command, config: Config) -> Finding | None:
    for word in _path_words(command):
        if found := _forbidden(word, config):
            return found
    for word in _url_words(command):
        if found := _check_host(word, config, is_command=True):
            return found
    for word in _written(command) if config.workspace else ():
        if not is_inside(word, config.workspace or "/") and word != "/dev/null":
            return Finding("forbidden_path", f"workspace: {word!r} is written outside of it")
    return None


def _path_words(command: Command) -> Iterator[str]:
    yield from (*command.reads, *command.writes)
    if command.program in _TEXT_PROGRAMS or not command.fields:
        return
    yield command.fields[0].text
    if command.program in _PATTERN_PROGRAMS:
        words = _without_pattern(command.arguments)
    else:
        options = _TEXT_OPTIONS.get(command.program, frozenset())
        pairs = zip(("", *command.arguments), command.arguments, strict=False)
        words = [word for before, word in pairs if before not in options]
    for word in words:
        yield from _candidates(word)


def _without_pattern(arguments: tuple[str, ...]) -> list[str]:
    """``-rn .env src`` → ``-rn src``; ``-e .env src`` → ``-e src``."""
    given = next((i for i, word in enumerate(arguments) if _PATTERN_OPTION.match(word)), None)
    if given is None:
        operand = (i for i, word in enumerate(arguments) if not word.startswith("-"))
        pattern = next(operand, len(arguments))
    else:
        # behind a cluster that ends in e stands the pattern, behind -f a file
        pattern = given + 1 if re.fullmatch(r"-[A-Za-z]*e", arguments[given]) else len(arguments)
    return [word for index, word in enumerate(arguments) if index != pattern]


def _candidates(word: str) -> Iterator[str]:
    """``--key=~/.ssh/x``, ``-d@.env``, ``if=/etc/shadow`` and ``~/.ssh:/keys`` all hold paths."""
    if re.search(r"\s", word.split("/")[0]):
        return  # a sentence
    yield word
    for piece in re.split(r"[=@:,]", word)[1:] if not _URL.match(word) else ():
        if piece:
            yield piece
    if ":" in word and not _URL.match(word):
        yield word.split(":")[0]
    if option := re.match(r"-[A-Za-z](?=[~/.$])", word):
        yield word[option.end() :]


def _url_words(command: Command) -> Iterator[str]:
    if command.program in _TEXT_PROGRAMS:
        return
    for word in command.arguments:
        inner = _URL.search(word)
        if inner and not re.search(r"\s", word):
            yield word[inner.start() :]
        elif command.program in _HTTP_CLIENTS and not word.startswith("-"):
            yield word


def _written(command: Command) -> Iterator[str]:
    yield from command.writes
    operands = [word for word in command.arguments if not word.startswith("-")]
    if command.program in {"tee", "touch", "mkdir", "rm", "rmdir", "truncate"}:
        yield from operands
    elif command.program in {"cp", "mv", "install", "ln", "rsync"}:
        yield from operands[-1:]
    elif command.program == "dd":
        yield from (word.removeprefix("of=") for word in operands if word.startswith("of="))


def _forbidden(path: str, config: Config) -> Finding | None:
    rule = forbidden(path, (*config.deny_paths, *CREDENTIALS), config.allow_paths)
    return Finding("forbidden_path", f"{rule}: {path!r}") if rule else None


def _check_path(tool: str, path: str, config: Config) -> Finding | None:
    if found := _forbidden(path, config):
        return found
    writes = any(fnmatchcase(tool.lower(), pattern.lower()) for pattern in config.write_tools)
    if config.workspace and writes and not is_inside(path, config.workspace):
        return Finding("forbidden_path", f"workspace: {path!r} is written outside of it")
    return None


def _check_url(url: str, config: Config) -> Finding | None:
    if url.strip().lower().startswith("file:"):
        return _forbidden(url, config)
    return _check_host(url, config, is_command=False)


def _check_host(url: str, config: Config, *, is_command: bool) -> Finding | None:
    """In commands only metadata services are forbidden: a local server is often one's own."""
    try:
        host = host_of(url)
    except NotAUrl as e:
        return None if is_command else Finding("unparsable", str(e))
    if host is None:
        return None
    if rule := listed(host, config.deny_hosts):
        return Finding("forbidden_host", f"deny_hosts {rule}: {host!r}")
    if listed(host, config.allow_hosts):
        return None
    if config.only_allowed_hosts and (not is_command or _URL.match(url)):
        return Finding("forbidden_host", f"only_allowed_hosts: {host!r}")
    if rule := listed(host, METADATA):
        return Finding("forbidden_host", f"cloud metadata {rule}: {host!r}")
    rule = None if is_command else private(host)
    return Finding("forbidden_host", f"{rule}: {host!r}") if rule else None
