"""The processes of the soak on one broker: two dispatchers, registries, plugins."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hookbus.broker import EmbeddedBroker
from tests.integration.commands import HOOKBUS, Process

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Form:
    """Which processes there are.

    Attributes:
        plugins: by process, the plugins in it.
    """

    dispatchers: int
    registries: int
    plugins: dict[str, tuple[str, ...]]


WHOLE: Final = Form(
    2,
    2,
    {
        "amend-1": ("amend",),
        "amend-2": ("amend",),
        "brush": ("brush",),
        "check": ("check",),
        "dwell": ("dwell",),
        "fussy": ("fussy",),
    },
)
#: For a machine that has other things to do.
SMALL: Final = Form(2, 1, {"sdk": ("amend", "dwell"), "by-hand": ("brush", "check", "fussy")})


class Cluster:
    """Started at once, ended with its *stack*; its processes are named ``dispatcher-1`` …"""

    def __init__(self, stack: ExitStack, folder: Path, form: Form, seed: int) -> None:
        self._stack, self._folder, self._seed, self.form = stack, folder, seed, form
        self.observed = folder / "observed"
        self.broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
        self.processes: dict[str, Process] = {}
        roles = [("registry", form.registries), ("dispatcher", form.dispatchers)]
        for kind, count in roles:
            for number in range(1, count + 1):
                self.start(f"{kind}-{number}")
        for name in form.plugins:
            self.start(name)

    @property
    def roles(self) -> dict[str, Process]:
        """Dispatchers and registries."""
        return {n: p for n, p in self.processes.items() if n not in self.form.plugins}

    def start(self, name: str) -> Process:
        """Start a process, also in the place of one that has ended."""
        if name in self.form.plugins:
            words = [sys.executable, "-m", "tests.soak.plugins", str(self._seed)]
            words += [str(self.observed), *self.form.plugins[name]]
        else:
            words = [*HOOKBUS, "serve", name.partition("-")[0], "--http", "127.0.0.1:0"]
        environ = {"HOOKBUS_NATS_URL": self.broker.url, "PYTHONPATH": str(ROOT)}
        self.processes[name] = process = Process(words, self._folder, **environ)
        self._stack.callback(process.close)
        return process

    def hosts_of(self, plugin: str) -> list[str]:
        """The processes that a plugin is in."""
        return [name for name, plugins in self.form.plugins.items() if plugin in plugins]
