"""Which commands are dangerous: rules over what a text would run. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from itertools import pairwise

from guard_paths import normalise
from shell_commands import Command, Run
from shell_wrappers import SHELLS, find_roots, reads_script_from_input

_FETCHERS = frozenset(
    ["curl", "wget", "fetch", "nc", "ncat", "netcat", "socat", "http", "https", "aria2c", "lynx"]
)
_DECODERS = frozenset(["base64", "base32", "xxd", "openssl", "rev", "uudecode"])
_INTERPRETER = re.compile(r"python[\d.]*|perl|ruby|node|nodejs|php|lua|deno|bun|osascript")
_SYSTEM_FOLDER = re.compile(
    r"/(?:bin|boot|dev|etc|home|lib|lib64|opt|proc|root|sbin|srv|sys|usr|var"
    r"|users|system|library|applications)"
)
#: ``/*``, ``/.*``, ``/[!.]*`` at the end of a path: all that is in the folder.
_EVERYTHING_IN = re.compile(r"(?:/+(?:\.?[*?]+|\[[^/\]]*\][*?]*))+/*$")
_HARMLESS_DEVICES = re.compile(
    r"/dev/(?:null|zero|full|u?random|std(?:in|out|err)|tty\w*|fd/.*|shm/.*|pts/.*)"
)
_FORMATTERS = re.compile(
    r"mkfs(?:\..+)?|mke2fs|mkswap|wipefs|blkdiscard|shred|s?fdisk|sgdisk|gdisk|parted|cryptsetup"
)
_BRANCHES = frozenset(["main", "master", "trunk", "production"])
_STOPPERS = frozenset(["shutdown", "reboot", "halt", "poweroff"])
_SYSTEMCTL = frozenset(["poweroff", "reboot", "halt", "kexec", "emergency", "rescue"])


def dangerous(run: Run, denied: Iterable[str] = ()) -> str | None:
    """Return why the pipeline must not run, naming rule and word; None when no rule objects."""
    found = _network_into_shell(run)
    if found:
        return found
    for command in (command for stage in run for command in stage):
        for rule in _RULES:
            if found := rule(command):
                return found
        if found := _denied(command, denied):
            return found
    return None


def _network_into_shell(run: Run) -> str | None:
    source: str | None = None
    for stage in run:
        shell = next((command.program for command in stage if _runs_input(command)), None)
        if source and shell:
            return f"pipe_to_shell: {source} | {shell}"
        own = (c.program for c in stage if c.program in _FETCHERS or c.program in _DECODERS)
        source = source or next(own, None)
    return None


def _runs_input(command: Command) -> bool:
    if command.is_wrapper:
        return False
    if command.program in SHELLS:
        return reads_script_from_input(command.fields)
    if _INTERPRETER.fullmatch(command.program):
        return all(a == "-" for a in command.arguments)
    return command.program in {"source", "."} and "/dev/stdin" in command.arguments


def _substituted(command: Command) -> str | None:
    """``$(curl …)`` as a program, in sh -c, eval, source, or ``bash <(curl …)``."""
    if not command.fields or command.is_wrapper:
        return None
    first, *rest = command.fields
    scripts = [first]
    if command.program in SHELLS:
        position = next((i for i, f in enumerate(rest) if not f.text.startswith("-")), len(rest))
        scripts += rest[position : position + 1]
    elif command.program in {"eval", "source", "."}:
        scripts += rest
    elif _INTERPRETER.fullmatch(command.program):
        scripts += [f for before, f in pairwise(rest) if before.text == "-c"]
        scripts += rest[:1]
    fetchers = sorted({name for field in scripts for name in field.runs & _FETCHERS})
    if not fetchers:
        return None
    return f"network_to_shell: {command.program or 'the command'} runs what {fetchers[0]} gets"


def _network_device(command: Command) -> str | None:
    targets = (*command.reads, *command.writes)
    found = next((t for t in targets if t.startswith(("/dev/tcp/", "/dev/udp/"))), None)
    if found:
        return f"network_shell: {found}"
    listens = command.program in {"nc", "ncat", "netcat"} and any(
        re.fullmatch(r"-[a-z]*[ec]|--exec|--sh-exec", a) for a in command.arguments
    )
    return f"network_shell: {command.program} with a command" if listens else None


def is_whole(path: str) -> bool:
    """Tell whether *path* is a whole machine, home, system folder or the current folder."""
    plain = _EVERYTHING_IN.sub("", path)
    if plain in {"*", ".*", "**", ""}:
        return path != ""
    place = normalise(plain)
    return (
        place in {"/", "~", "."}
        or _SYSTEM_FOLDER.fullmatch(place) is not None
        or re.fullmatch(r"\.\.(?:/\.\.)*|/[^/]*[*?\[][^/]*", place) is not None
    )


def _remove(command: Command) -> str | None:
    name = command.program or "$"
    if name not in {"rm", "$", "rmdir", "srm", "trash", "unlink"}:
        return None
    if "--no-preserve-root" in command.arguments:
        return "remove_all: --no-preserve-root"
    recursive = _has_flag(command, "rR", "--recursive")
    target = next((a for a in _operands(command) if is_whole(a)), None)
    return f"remove_all: {name} -r {target}" if recursive and target else None


def _find_delete(command: Command) -> str | None:
    if command.program != "find" or "-delete" not in command.arguments:
        return None
    target = next((r.text for r in find_roots(command.fields[1:])), ".")
    is_system = is_whole(target) and target.startswith(("/", "~", "$"))
    return f"remove_all: find {target} -delete" if is_system else None


def _move(command: Command) -> str | None:
    if command.program != "mv":
        return None
    target = next((a for a in _operands(command)[:-1] if is_whole(a) and a[:1] in "/~$"), None)
    return f"move_all: mv {target}" if target else None


def _permissions(command: Command) -> str | None:
    if command.program not in {"chmod", "chown", "chgrp"}:
        return None
    recursive = _has_flag(command, "R", "--recursive")
    target = next((a for a in _operands(command)[1:] if is_whole(a) and a[:1] in "/~$"), None)
    return f"permissions_of_all: {command.program} -R {target}" if recursive and target else None


def _devices(command: Command) -> str | None:
    written = list(command.writes)
    if command.program == "dd":
        written += [a.removeprefix("of=") for a in command.arguments if a.startswith("of=")]
    elif command.program in {"tee", "truncate"}:
        written += _operands(command)
    elif command.program in {"cp", "mv", "install"}:
        written += _operands(command)[-1:]
    elif _FORMATTERS.fullmatch(command.program) and not _only_reads(command):
        written += _operands(command)
    target = next((w for w in written if _is_device(w)), None)
    return f"device_write: {command.program} to {target}" if target else None


def _only_reads(command: Command) -> bool:
    return bool({"-l", "--list", "print", "luksDump", "isLuks"} & set(command.arguments))


def _is_device(path: str) -> bool:
    place = normalise(path)
    return place.startswith("/dev/") and not _HARMLESS_DEVICES.fullmatch(place)


def _stop(command: Command) -> str | None:
    first = next(iter(_operands(command)), "")
    asks = {"--help", "--version", "-c", "--show", "-w", "--wtmp-only"} & set(command.arguments)
    if command.program in _STOPPERS and not asks:
        return f"stop_machine: {command.program}"
    if command.program in {"init", "telinit"} and first in {"0", "6"}:
        return f"stop_machine: {command.program} {first}"
    if command.program == "systemctl" and first in _SYSTEMCTL:
        return f"stop_machine: systemctl {first}"
    return None


def _kill(command: Command) -> str | None:
    if command.program == "killall5" or (
        command.program == "kill" and len(command.arguments) > 1 and command.arguments[-1] == "-1"
    ):
        return f"kill_all: {command.program} -1"
    return None


def _push(command: Command) -> str | None:
    arguments = _after_git_options(command)
    if command.program != "git" or arguments[:1] != ["push"]:
        return None
    words = [a for a in arguments[1:] if not a.startswith("-")]
    flags = [a for a in arguments[1:] if a.startswith("-")]
    forced = any(re.match(r"--force|-[a-z]*f", flag) for flag in flags)
    deleted = "--delete" in flags or "-d" in flags
    if "--mirror" in flags or (forced and "--all" in flags):
        return "force_push: every branch"
    for refspec in words[1:]:
        branch = refspec.removeprefix("+").split(":")[-1].removeprefix("refs/heads/")
        overwrites = forced or deleted or refspec.startswith(("+", ":"))
        if overwrites and branch in _BRANCHES:
            return f"force_push: {branch}"
    return None


def _after_git_options(command: Command) -> list[str]:
    arguments = list(command.arguments)
    while arguments and arguments[0].startswith("-"):
        arguments = arguments[
            2 if arguments[0] in {"-C", "-c", "--git-dir", "--work-tree"} else 1 :
        ]
    return arguments


def _denied(command: Command, denied: Iterable[str]) -> str | None:
    for rule in denied:
        name, *words = rule.split()
        rest = iter(command.arguments)
        # `in` uses the iterator up, so the words must come in this order
        if fnmatchcase(command.program, name.lower()) and all(word in rest for word in words):
            return f"deny_commands: {rule}"
    return None


def _has_flag(command: Command, letters: str, long: str) -> bool:
    return any(
        a == long or (a.startswith("-") and not a.startswith("--") and set(a) & set(letters))
        for a in command.arguments
    )


def _operands(command: Command) -> list[str]:
    arguments = list(command.arguments)
    if "--" in arguments:
        split = arguments.index("--")
        return [a for a in arguments[:split] if not a.startswith("-")] + arguments[split + 1 :]
    return [a for a in arguments if not a.startswith("-")]


_RULES: tuple[Callable[[Command], str | None], ...] = (
    _substituted,
    _network_device,
    _remove,
    _find_delete,
    _move,
    _permissions,
    _devices,
    _stop,
    _kill,
    _push,
)
