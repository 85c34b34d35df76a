"""What of a settings tree can be used, so that all its mistakes are found at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from hookbus.config.settings import Settings, contradictions
from hookbus.errors import Problem
from hookbus.manifest.problems import parse

_PART: Final = re.compile(r'"([^"]*)"|([A-Za-z0-9_-]+)|\[(\d+)\]')
_NOTHING: Final = Settings()


def parse_partly(tree: object) -> tuple[Settings, list[Problem]]:
    """Leave out what is wrong until the rest can be read; return that, and all that is wrong."""
    problems: list[Problem] = []
    while True:
        settings = parse(Settings, tree)
        if not isinstance(settings, tuple):
            break
        problems += settings
        smaller = tree
        for problem in settings:
            smaller = _without(smaller, _path(problem.at))
        if smaller == tree or not isinstance(smaller, dict):
            return _NOTHING, problems
        tree = smaller
    return settings, problems + unrelated(contradictions(settings), problems)


def unrelated(found: Sequence[Problem], known: Sequence[Problem]) -> list[Problem]:
    """Drop of *found* what may only follow from what was left out because of *known*."""
    places = [problem.at for problem in known]
    return [problem for problem in found if not any(_is_within(problem.at, at) for at in places)]


def _is_within(at: str, section: str) -> bool:
    return at == section or at.startswith((f"{section}.", f"{section}["))


def _path(at: str) -> list[str | int]:
    return [int(i) if i else quoted or bare for quoted, bare, i in _PART.findall(at)]


def _without(tree: Any, path: Sequence[str | int]) -> Any:
    """Leave out what stands at *path*; of a list all of it, of what is missing its section."""
    if not path or not isinstance(tree, dict) or path[0] not in tree:
        return None
    first, rest = path[0], path[1:]
    inner = _without(tree[first], rest) if rest else None
    others = {key: value for key, value in tree.items() if key != first}
    return others if inner is None else {**tree, first: inner}
