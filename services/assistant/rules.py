"""In place of a model: which tools a text asks for, and how the answer is put. Pure."""

import re

from hookbus import ToolInvoked

RULES = (
    ("read_file", re.compile(r"read (?P<path>.+)", re.I)),
    ("list_files", re.compile(r"list(?: (?P<path>.+))?", re.I)),
    ("calculator", re.compile(r"(?:calculate|what is) (?P<expression>.+?)\??", re.I)),
)


def plan(text: str) -> list[ToolInvoked]:
    """``"list, then read notes.txt"`` asks for two calls, a text that fits no rule for none."""
    calls = []
    for part in re.split(r",? then |\n", text)[:5]:
        for name, rule in RULES:
            if found := rule.fullmatch(part.strip()):
                args = {argument: value or "." for argument, value in found.groupdict().items()}
                calls.append(ToolInvoked(name=name, args=args))
    return calls


def phrase(text: str, results: list[str]) -> str:
    """Put what the tools said into one answer; without any it is an echo."""
    return "\n\n".join(results or [f"You said: {text}\nTry: list, then read notes.txt"])
