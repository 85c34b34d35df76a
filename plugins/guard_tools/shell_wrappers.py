"""Commands that run other commands: what they run. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from shell_fields import Field

SHELLS = frozenset(
    ["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "rbash", "csh", "tcsh"]
)

#: program → its one-letter options that take a value in the next word.
_PREFIXES = {
    "sudo": "CDghpRrTtUu",
    "doas": "aCu",
    "env": "uC",
    "nice": "n",
    "ionice": "cnpPu",
    "nohup": "",
    "setsid": "",
    "stdbuf": "ioe",
    "timeout": "ks",
    "time": "fo",
    "xargs": "adEILnPs",
    "parallel": "jaN",
    "exec": "a",
    "command": "",
    "builtin": "",
    "noglob": "",
    "coproc": "",
    "flock": "wE",
    "chroot": "",
    "chrt": "",
    "taskset": "",
    "busybox": "",
    "toybox": "",
    "fakeroot": "",
    "unbuffer": "",
    "caffeinate": "tw",
    "strace": "eopsuP",
    "unshare": "",
    "nsenter": "t",
}
#: these have operands of their own before the command.
_OPERANDS = {"timeout": 1, "flock": 1, "chroot": 1, "chrt": 1, "taskset": 1}
_LONG_WITH_VALUE = re.compile(
    r"--(?:user|group|chdir|host|prompt|unset|adjustment|signal|kill-after|max-args|max-procs"
    r"|max-lines|delimiter|arg-file|jobs|class|classdata|output|error|input|replace|eof)"
)
_FIND_EXEC = frozenset(["-exec", "-execdir", "-ok", "-okdir"])


def program(field: Field) -> str:
    """``/usr/bin/Rm`` → ``rm``; ``""`` when it cannot be known."""
    return "" if "$" in field.text else posixpath.basename(field.text).lower().removesuffix(".exe")


@dataclass(frozen=True, slots=True)
class Script:
    """A text that a shell is given to run, and its ``$0``, ``$1`` …"""

    source: str
    arguments: tuple[str, ...] = ()


def inner_commands(fields: tuple[Field, ...]) -> list[tuple[Field, ...]]:
    """Return the commands that *fields* run with their arguments: of sudo, env, xargs, find …"""
    name, rest = program(fields[0]), fields[1:]
    if name == "find":
        return _find_commands(rest)
    if name not in _PREFIXES:
        return []
    if name == "command" and any(field.text in {"-v", "-V"} for field in rest):
        return []  # asks where the command is
    inner = _after_options(rest, _PREFIXES[name])[_OPERANDS.get(name, 0) :]
    if name in {"env", "sudo", "doas"}:
        while inner and "=" in inner[0].text:
            inner = inner[1:]
    return [inner] if inner and not inner[0].text.startswith("-") else []


def _after_options(fields: tuple[Field, ...], with_value: str) -> tuple[Field, ...]:
    index = 0
    while index < len(fields) and fields[index].text.startswith("-"):
        text = fields[index].text
        if text == "--":
            return fields[index + 1 :]
        takes_next = _LONG_WITH_VALUE.fullmatch(text) or (
            not text.startswith("--") and len(text) > 1 and text[-1] in with_value
        )
        index += 2 if takes_next else 1
    return fields[index:]


def _find_commands(fields: tuple[Field, ...]) -> list[tuple[Field, ...]]:
    # below a named folder a find usually filters; below / and ~ what it finds is taken as all of it
    roots = tuple(root for root in find_roots(fields) if root.text.startswith(("/", "~")))
    found: list[tuple[Field, ...]] = []
    inner: list[Field] | None = None  # of the -exec that is being read
    for field in (*fields, Field(";")):
        if inner is None:
            inner = [] if field.text in _FIND_EXEC else None
        elif field.text in {";", "+"}:
            found += [tuple(inner)] if inner else []
            inner = None
        else:
            inner += roots if field.text == "{}" and roots else (field,)
    return found


def find_roots(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Where a find starts: its operands before the first test."""
    count = 0
    while count < len(fields) and not fields[count].text.startswith(("-", "(", "!")):
        count += 1
    return fields[:count] or (Field("."),)


def inner_scripts(fields: tuple[Field, ...]) -> list[Script]:
    """Return the texts that *fields* give to a shell: of sh -c, eval, su -c, ssh, env -S …"""
    name, rest = program(fields[0]), fields[1:]
    texts = tuple(field.text for field in rest)
    if name in SHELLS:
        return _shell_script(texts)
    if name == "eval":
        return [Script(" ".join(texts))]
    if name in {"su", "script", "flock", "runuser"}:
        return _option_value(texts, ("-c", "--command"))
    if name == "env":
        return _option_value(texts, ("-S", "--split-string"))
    if name == "trap":
        return [Script(texts[0])] if len(texts) > 1 else []
    if name == "watch":
        return [Script(" ".join(f.text for f in _after_options(rest, "n")))]
    if name == "ssh":
        return [Script(" ".join(f.text for f in _after_options(rest, "bcDEeFIiJLlmOopQRSWw")[1:]))]
    return []


def _shell_script(texts: tuple[str, ...]) -> list[Script]:
    for index, text in enumerate(texts):
        if not text.startswith(("-", "+")):
            return []
        if text == "--command" or (not text.startswith("--") and "c" in text):
            operands = [t for t in texts[index + 1 :] if not t.startswith("-")] or [""]
            return [Script(operands[0], tuple(operands[1:]))]
    return []


def _option_value(texts: tuple[str, ...], names: tuple[str, str]) -> list[Script]:
    short, long = names
    for index, text in enumerate(texts):
        if text in names:
            return [
                Script(" ".join(texts[index + 1 :] if short == "-S" else texts[index + 1 :][:1]))
            ]
        if text.startswith((f"{long}=", short)) and not text.startswith("--no"):
            return [Script(text.removeprefix(f"{long}=").removeprefix(short))]
    return []


def reads_script_from_input(fields: tuple[Field, ...]) -> bool:
    """Tell whether a shell with these arguments runs what comes in: ``sh``, ``bash -s -- x``."""
    texts = [field.text for field in fields[1:]]
    if any(t == "--command" or (t.startswith("-") and t[1:2] != "-" and "c" in t) for t in texts):
        return False
    operands = [text for text in texts if not text.startswith(("-", "+"))]
    has_s = any(t.startswith("-") and not t.startswith("--") and "s" in t for t in texts)
    return has_s or not operands or operands[0] in {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}
