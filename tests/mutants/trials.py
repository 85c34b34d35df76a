"""Mutants on trial: a forked process each, which ends at the first test that fails.

The package is copied once, so that nobody's edits come between; a mutant's sources are imported
from memory. What else is imported is loaded before forking: a trial begins within 0.3 seconds.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import selectors
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tests.mutants import killers
from tests.mutants.mutant import Mutant

COPIED: Final = ("hookbus", "tests", "plugins", "pyproject.toml")
CPU_LIMIT: Final = 2.0  # seconds that one test may take more than five times its usual
CLOCK_LIMIT: Final = 300.0  # seconds without a word from a trial, whatever the machine does
MEMORY_LIMIT: Final = 3 * 1024**3  # bytes of address space


@dataclass(slots=True)
class Verdict:
    """What came of one trial.

    Attributes:
        killer: the first test of table or model that failed, or None.
        beyond: of a survivor, the first flow or unit test that failed.
        missed: of a mutant with named killers, those that did not fail.
    """

    mutant: Mutant
    killer: str | None = None
    why: str = ""
    beyond: str | None = None
    missed: list[str] = field(default_factory=list)
    seconds: float = 0.0


def copy_package(source: Path, target: Path) -> None:
    """Copy what is tested and its tests."""
    for name in COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
        else:
            shutil.copy2(source / name, target / name)


class Court:
    """Tries mutants of the package that is copied to *directory*; makes that the current one."""

    def __init__(self, directory: Path, *, jobs: int = 1, is_beyond: bool = False) -> None:
        os.chdir(directory)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(directory / "hypothesis")
        sys.path.insert(0, str(directory))
        self._jobs = jobs
        self._is_beyond = is_beyond
        self._kills: dict[str, Counter[str]] = {}
        self._left_out = "none"
        # until they are measured: cases are fast, properties slow
        self._seconds = {name: 0.01 if name[:6] == "table:" else 3.0 for name in killers.killers()}
        killers.forget_the_package()

    def leave_out(self, kind: str) -> None:
        """Try automatic mutants without killers of a kind."""
        self._left_out = kind

    def measure(self) -> dict[str, str]:
        """Run every killer on the package as it is; return those that fail, and why.

        They are left out of the trials: a test that always fails kills nothing.
        """
        failing = {}
        trial = _Trial(Mutant("none", "", 0, {}, ""), [], {}, is_measuring=True)
        while (line := trial.read()) is not None:
            for word, name, text in line:
                if word == "took":
                    self._seconds[name] = float(text)
                elif word == "failed":
                    failing[name] = text
        os.close(trial.pipe)
        for name in failing:
            self._seconds.pop(name, None)
        return failing

    def try_all(self, mutants: Iterable[Mutant]) -> Iterator[Verdict]:
        """Yield the verdicts as they come."""
        waiting, running = iter(mutants), selectors.DefaultSelector()
        while True:
            while len(running.get_map()) < self._jobs and (mutant := next(waiting, None)):
                trial = self._begin(mutant)
                running.register(trial.pipe, selectors.EVENT_READ, trial)
            if not running.get_map():
                return
            for key, _ in running.select(timeout=1.0):
                if self._is_over(key.data):
                    # first: a fork that is open elsewhere keeps a closed pipe in the selector
                    running.unregister(key.data.pipe)
                    os.close(key.data.pipe)
                    yield self._judge(key.data)
            for key in list(running.get_map().values()):
                key.data.stop_if_silent()

    def _begin(self, mutant: Mutant) -> _Trial:
        if mutant.killers:
            return _Trial(mutant, list(mutant.killers), self._seconds)
        kills = self._kills.setdefault(mutant.path, Counter())
        # first what killed others of this file, then the fast ones
        worth = {
            name: kills[name] / (0.2 + took)
            for name, took in self._seconds.items()
            if not name.startswith(self._left_out)
        }
        order = sorted(worth, key=lambda name: (-worth[name], self._seconds[name]))
        return _Trial(mutant, order, self._seconds, is_beyond=self._is_beyond)

    def _is_over(self, trial: _Trial) -> bool:
        lines = trial.read()
        trial.heard.extend(lines or ())
        return lines is None

    def _judge(self, trial: _Trial) -> Verdict:
        verdict = trial.verdict()
        if verdict.killer is not None and not trial.mutant.killers:
            self._kills[trial.mutant.path][verdict.killer] += 1
        return verdict


class _Trial:
    """One forked process and what it says: lines of a word, a test's name and a text."""

    def __init__(
        self,
        mutant: Mutant,
        order: Sequence[str],
        seconds: dict[str, float],
        *,
        is_beyond: bool = False,
        is_measuring: bool = False,
    ) -> None:
        self.mutant = mutant
        self.heard: list[tuple[str, str, str]] = []
        self._begun = self._spoke = time.monotonic()
        self._rest = b""
        self.pipe, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self.pipe)
            child = _Child(mutant, writing, seconds)
            child.run(lambda: child.measure() if is_measuring else child.judge(order, is_beyond))
        os.close(writing)

    def read(self) -> list[tuple[str, str, str]] | None:
        """Return the lines that have come; None is the end."""
        found = os.read(self.pipe, 65_536)
        self._spoke = time.monotonic()
        if not found:
            _, self._status = os.waitpid(self._pid, 0)
            return None
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [_words(line.decode()) for line in lines]

    def stop_if_silent(self) -> None:
        if time.monotonic() - self._spoke > CLOCK_LIMIT:
            os.kill(self._pid, signal.SIGKILL)

    def verdict(self) -> Verdict:
        """Judge a trial that is over."""
        verdict = Verdict(self.mutant, seconds=round(time.monotonic() - self._begun, 2))
        is_finished = bool(self.heard) and self.heard[-1][0] == "finished"
        for word, name, text in self.heard:
            if word == "missed":
                verdict.missed.append(f"{name} ({text or 'passed'})")
            elif word == "failed" and name == "beyond":
                verdict.beyond = text
            elif word == "failed" and verdict.killer is None:
                verdict.killer, verdict.why = name, text
        if not is_finished:
            _, name, _ = self.heard[-1] if self.heard else ("", "import", "")
            is_hang = os.WIFSIGNALED(self._status) and os.WTERMSIG(self._status) == signal.SIGPROF
            why = "did not end" if is_hang else f"died with status {self._status}"
            if name == "beyond":
                verdict.beyond = why
            elif verdict.killer is None:
                verdict.killer, verdict.why = name, why
        return verdict


def _words(line: str) -> tuple[str, str, str]:
    word, name, text = line.split("\t", 2)
    return word, name, text


class _Child:
    """The forked process."""

    def __init__(self, mutant: Mutant, pipe: int, seconds: dict[str, float]) -> None:
        self._mutant = mutant
        self._pipe = pipe
        self._seconds = seconds

    def run(self, work: Any) -> None:
        """Do *work* and end the process, whatever happens."""
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
            sys.meta_path.insert(0, _Overlay(self._mutant.sources))
            work()
            self._say("finished")
        except BaseException as error:
            self._say("failed", "import", f"{type(error).__name__}: {error}")
            self._say("finished")
        finally:
            os._exit(0)

    def leave_out(self, kind: str) -> None:
        """Try automatic mutants without killers of a kind."""
        self._left_out = kind

    def measure(self) -> None:
        for name, check in killers.killers().items():
            began = time.process_time()
            problem = check()
            self._say("took", name, str(time.process_time() - began))
            if problem:
                self._say("failed", name, problem)

    def judge(self, order: Sequence[str], is_beyond: bool) -> None:
        self._limit("import")
        known = killers.killers(order)
        is_named = bool(self._mutant.killers)
        for name in order:
            self._limit(name)
            problem = known[name]() if name in known else killers.NOT_RUN
            is_killed = bool(problem) and not problem.startswith(killers.NOT_RUN)
            if is_killed:
                self._say("failed", name, problem)
            elif is_named:
                self._say("missed", name, problem)
            if is_killed and not is_named:
                return
        if is_beyond:
            self._limit("beyond", 120.0)
            problem = killers.run_beyond()
            if problem:
                self._say("failed", "beyond", problem)

    def _limit(self, name: str, limit: float = CPU_LIMIT) -> None:
        """Let the next test run so much time of this process, then SIGPROF ends it."""
        self._say("begins", name)
        if name.startswith("pytest:"):
            limit = 60.0
        signal.setitimer(signal.ITIMER_PROF, 5 * self._seconds.get(name, 1.0) + limit)

    def _say(self, word: str, name: str = "", text: str = "") -> None:
        line = f"{word}\t{name}\t{' '.join(text.split())[:400]}\n"
        os.write(self._pipe, line.encode(errors="replace"))


class _Overlay(importlib.abc.MetaPathFinder):
    """Finds the mutated modules in memory."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = {_module(path): (path, text) for path, text in sources.items()}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._sources:
            return None
        file, text = self._sources[fullname]
        loader = _Loader(fullname, str(Path(file).resolve()), text)
        return importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_data(self, path: str) -> bytes:
        return self._text.encode()

    def path_stats(self, path: str) -> Any:
        raise OSError("its bytecode is not kept")


def _module(path: str) -> str:
    """``hookbus/patches/__init__.py`` → ``hookbus.patches``"""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
