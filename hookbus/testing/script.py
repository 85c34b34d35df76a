"""Plugins that say what a test wants them to say."""

from __future__ import annotations

import asyncio
import builtins
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NoReturn, TypeAlias

from hookbus.manifest.hook import default_name
from hookbus.models import HookEvent, Intercept, Phase, Verdict
from hookbus.plugin import Plugin
from hookbus.subjects import has_wildcard

#: A verdict (None is Continue); what makes one of the event; or an exception that is raised, of
#: which ``TimeoutError()`` stands for no answer at all.
Answer: TypeAlias = (
    Verdict
    | Exception
    | Callable[[HookEvent[Any]], Verdict | Awaitable[Verdict | None] | None]
    | None
)

LATE_MS: Final = 50  # timeout of a hook that is there to be late


class Answers:
    """What one hook of a scripted plugin says, and what it was asked.

    Attributes:
        events: the events that it was asked about (``HookEvent``, data as plain JSON values), in
            order; of an observe hook, what it was shown. Filled on the bus's thread: after
            ``emit`` has returned, all that this emit led to is there, but for observe hooks.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = list(answers) or [None]
        self.events: list[HookEvent[Any]] = []

    async def answer(self, event: HookEvent[Any]) -> Verdict | None:
        """Give the next answer to *event*; the last one for ever."""
        turn = min(len(self.events), len(self._answers) - 1)
        self.events.append(event)
        said = self._answers[turn]
        if isinstance(said, Exception):
            await _fail(said)
        elif callable(said):
            made = said(event)
            return await made if inspect.isawaitable(made) else made
        return said


class Script:
    """The hooks of one scripted plugin, by the types that they ask for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._hooks: dict[str, tuple[Answers, Phase, dict[str, Any]]] = {}

    def set(
        self, type: str, answers: Sequence[Answer], phase: Phase | None, options: dict[str, Any]
    ) -> Answers:
        """Answer *type* like this from now on, in place of what was said of it before."""
        for answer in answers:
            if isinstance(answer, builtins.type):
                raise TypeError(f"answers: expected {answer.__name__}(…), got the class itself")
        said = Answers(answers)
        if any(isinstance(answer, TimeoutError) for answer in answers):
            options = {"timeout_ms": LATE_MS, **options}
        if "name" not in options:
            options = {**options, "name": "pattern" if has_wildcard(type) else default_name(type)}
        changes = any(isinstance(answer, Intercept) for answer in answers)
        chosen = phase or ("mutate" if changes else "validate")
        self._hooks[type] = (said, chosen, options)
        return said

    def plugin(self) -> Plugin:
        """Make the plugin.

        Raises:
            InvalidManifest, TypeError: A name, type or option cannot be.
        """
        plugin = Plugin(self.name, version="1.0.0")
        for pattern, (said, phase, options) in self._hooks.items():
            plugin.hook(pattern, phase=phase, **options)(said.answer)
        return plugin


async def _fail(error: Exception) -> NoReturn:
    if isinstance(error, TimeoutError):
        await asyncio.Event().wait()  # until the hook's time is over
    raise error
