"""The tests that kill: cases of the table, properties of the model, flow and unit tests.

All of this runs in a process that was forked for one mutant; what it tests is imported anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import hypothesis
import pytest

#: Beyond table and model: tests of the same modules, of which what runs in memory.
BEYOND: Final = ("tests/flow", "tests/unit")
#: Plain asserts: hookbus has a plugin of pytest, so pytest would load all of the package itself, to
#: rewrite its asserts, and no mutant would come in.
_OPTIONS: Final = ("-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--assert=plain")
_BEYOND_UNITS: Final = (
    *("test_patches", "test_wire", "test_verdict_bytes"),
    *("test_breaker", "test_dispatch", "test_deadline", "test_payload", "test_remote"),
    *("test_outbox", "test_recorded_inputs"),
)

NOT_RUN: Final = "not run"  # what a check returns that could not even begin

Check = Callable[[], str]  # returns why it failed, or ""


def killers(names: Sequence[str] = ()) -> dict[str, Check]:
    """Return the killers of *names*, or the table's cases and the model's properties.

    ``table:C06``, ``model:test_events_…``, ``pytest:tests/flow/test_flow_x.py::test_y[memory]``
    """
    kinds = {name.partition(":")[0] for name in names} or {"table", "model"}
    found: dict[str, Check] = {}
    if "table" in kinds:
        found |= _of_the_table()
    if "model" in kinds:
        found |= _of_the_model()
    found |= {name: partial(_run_pytest, [name[7:]]) for name in names if name[:7] == "pytest:"}
    return found


def run_beyond() -> str:
    """Return the first flow or unit test that fails, or ""."""
    return _run_pytest(list(BEYOND))


def _of_the_table() -> Iterator[tuple[str, Check]]:
    running = import_module("tests.conformance.running")
    for case in _cases():
        if not case.is_elsewhere:
            yield f"table:{case.id}", partial(_play, running, case)


@cache
def _cases() -> tuple[Any, ...]:
    """Read once, before any fork: the table does not depend on the package."""
    cases: tuple[Any, ...] = import_module("tests.conformance.table").load_cases()
    return cases


def _play(running: ModuleType, case: Any) -> str:
    return "; ".join(running.run_in_memory(case).problems)


def _of_the_model() -> Iterator[tuple[str, Check]]:
    for file in sorted(Path("tests/model").glob("test_*.py")):
        module = import_module(f"tests.model.{file.stem}")
        for name, test in vars(module).items():
            if name.startswith("test_"):
                yield f"model:{name}", partial(_hold, test)


def _hold(test: Any) -> str:
    if hasattr(test, "hypothesis"):
        test.hypothesis.inner_test = _at_once(test.hypothesis.inner_test)
    try:
        test()
    except (Exception, _Failed) as error:
        return f"{type(error).__name__}: {error}"
    return ""


class _Failed(BaseException):
    """A property failed; no `Exception`, so that hypothesis looks for no smaller example."""


def _at_once(inner: Callable[..., None]) -> Callable[..., None]:
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            inner(*args, **kwargs)
        except hypothesis.errors.HypothesisException:
            raise  # an assumption that does not hold
        except Exception as error:
            raise _Failed(f"{type(error).__name__}: {error}") from None

    return run


class _First:
    """Leaves out what needs a real broker, and remembers the first test that failed."""

    def __init__(self) -> None:
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if _is_wanted(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


def _is_wanted(item: pytest.Item) -> bool:
    if item.path.parent.name == "unit" and not item.path.name.startswith(_BEYOND_UNITS):
        return False
    return "nats_server_program" not in getattr(item, "fixturenames", ())


def _run_pytest(what: list[str]) -> str:
    first = _First()
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = pytest.main([*what, *_OPTIONS], plugins=[first])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return f"{NOT_RUN}: pytest ended with {code}: {out.getvalue()[-300:]}"
    return first.failed


def forget_the_package() -> None:
    """Import hookbus and its tests anew the next time; all else stays loaded."""
    asyncio.set_event_loop(None)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("hookbus", "tests")]:
        if not name.startswith("tests.mutants") and name != "tests":
            del sys.modules[name]
