"""The bench itself: its contestants decide right, and what is wrong does not go unseen."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.loop import run
from tests.bench import contestants, naive, plugins, relay
from tests.bench.__main__ import MODES
from tests.bench.bars import BARS, judge, print_bars
from tests.bench.contestants import CONTESTANTS, missing
from tests.bench.emitters import naive as naive_emitter
from tests.bench.emitters import raw as raw_emitter
from tests.bench.emitters import sdk as sdk_emitter
from tests.bench.figures import Figures, Results
from tests.bench.load import Emit, WrongDecision, measure
from tests.bench.picture import draw
from tests.bench.scenarios import SCENARIOS, Answer, Scenario, wanted
from tests.bench.table import print_table
from tests.docs.story import blocks_of

ROOT = Path(__file__).parents[2]


async def _emitter(stack: AsyncExitStack, kind: str, url: str, scenario: Scenario) -> Emit:
    """Start a contestant in this process."""
    names = scenario.plugins
    if kind == "naive":
        for name in names:
            await stack.enter_async_context(naive.serving("plugin", url, scenario.work, [name]))
        await stack.enter_async_context(naive.serving("dispatcher", url, scenario.work, names))
        return await stack.enter_async_context(naive_emitter.emitter(url, names))
    await stack.enter_async_context(relay.serving(url, scenario.work, names))
    plugin = plugins.raw if kind == "raw" else plugins.sdk
    for name in names:
        await stack.enter_async_context(plugin(url, scenario.work, name))
    emitters: Any = raw_emitter if kind == "raw" else sdk_emitter
    return await stack.enter_async_context(emitters.emitter(url, names))


@pytest.mark.parametrize("scenario", ["n=3", "3 mutate", "block", "patch"])
@pytest.mark.parametrize("kind", ["raw", "fair", "naive"])
def test_a_contestant_decides_right(own_broker: EmbeddedBroker, kind: str, scenario: str) -> None:
    """hookbus's own decisions are the whole suite's; cpex is not installed here."""
    asked = SCENARIOS[scenario]

    async def emit_some() -> None:
        async with AsyncExitStack() as stack:
            emit = await _emitter(stack, kind, own_broker.url, asked)
            await measure(emit, wanted(asked.work, asked.plugins), in_flight=8, events=40)

    run(emit_some())


def test_a_wrong_decision_voids_the_run() -> None:
    async def emit() -> Answer:
        return Answer("block", "p1")

    with pytest.raises(ExceptionGroup) as raised:
        run(measure(emit, Answer("block", "p2"), in_flight=1, events=1))
    assert raised.group_contains(WrongDecision, match="by='p1'.*expected.*by='p2'")


def _measured(**seconds: float) -> Results:
    """A round each, in which a contestant took so long for an event."""
    return {
        name: {"one": [_figures(took)], "many": [_figures(took)]} for name, took in seconds.items()
    }


def _figures(seconds: float) -> Figures:
    us = seconds * 1e6
    processes = {f"cpu_{name}_us": us for name in ("emitter", "dispatcher", "plugins", "all")}
    return {"p50_us": us, "p99_us": us, "events_per_second": 1 / seconds, **processes}


def test_a_bar_is_met_up_to_its_limit_and_missed_beyond() -> None:
    met = {(bar.says, bar.scenario): bar for bar in judge({"n=1": _measured(fair=0.5, remote=0.6)})}
    assert met["hookbus remote / fair relay, p50", "n=1"].is_met is True  # 1.2 is "at most 1.2"
    assert met["hookbus remote / fair relay, events/s", "n=1"].is_met is True
    assert met["hookbus remote / fair relay, p50", "n=3"].is_met is None
    assert met["hookbus local / hookbus remote, p50", "n=1"].is_met is None
    missed = {(bar.says, bar.scenario): bar for bar in judge({"n=3": _measured(cpex=1, local=1)})}
    assert missed["hookbus local / cpex (unix), p50", "n=3"].is_met is False  # not below


def test_each_bar_is_printed_with_its_figure(capsys: pytest.CaptureFixture[str]) -> None:
    print_bars(judge({"n=1": _measured(fair=1, remote=2)}), is_quick=False)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("  ")]) == sum(
        len(bar.limits) for bar in BARS
    )
    assert any("MISSED" in line and "2.00" in line and "at most 1.2" in line for line in lines)
    assert any("not measured" in line for line in lines)
    assert max(map(len, lines)) <= 100


def test_the_table_says_what_a_contestant_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    results = _measured(raw=0.0005, fair=0.001, local=0.002, naive=0.02)
    for figures in results["local"]["many"]:
        del figures["cpu_dispatcher_us"]
    print_table("n=10", SCENARIOS["n=10"], results)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    [local] = [line.split() for line in lines if line.startswith("hookbus local")]
    # p50 p99 ×raw ×fair, events/s ×raw ×fair, emitter dispatcher plugins broker all
    assert " ".join(local[2:]) == "2000 2000 4.00 2.00 500 0.25 0.50 2000 – 2000 – 2000"


def test_the_picture_has_a_bar_for_each_figure() -> None:
    everything = {"n=1": _measured(raw=1, remote=2), "patch": _measured(raw=1, naive=1)}
    root = ElementTree.fromstring(draw(everything))
    kind = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{kind}rect")) == 1 + 2 * 2 * 3  # the ground, and the bars
    said = [text.text for text in root.findall(f"{kind}text")]
    assert said.count("raw relay") == 2
    assert "1,000,000" in said


def test_who_is_not_installed_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = CONTESTANTS["cpex"]._replace(needs=("no_such_module", "no_such.part"))
    monkeypatch.setitem(contestants.CONTESTANTS, "cpex", absent)
    [line] = missing(["raw", "cpex"])
    assert line.startswith("cpex (unix): not installed, left out; pip install 'cpex[grpc]==")


def test_the_version_of_cpex_is_pinned_in_one_way() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["bench"] == [contestants.CPEX]


def test_the_page_names_every_mode_scenario_and_contestant() -> None:
    page = (ROOT / "docs" / "bench.md").read_text()
    assert [name for name in SCENARIOS if f"`{name}`" not in page] == []
    assert [c.title for c in CONTESTANTS.values() if f"| {c.title} |" not in page] == []
    assert [name for name in MODES if name != "contest" and f"| `--{name}` |" not in page] == []
    assert f"'{contestants.CPEX}'" in page


@pytest.fixture(scope="module")
def quick(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any], str]:
    """What the command of docs/bench.md, made quick, printed, and the files that it wrote."""
    folder = tmp_path_factory.mktemp("bench")
    [shown] = [b.body for b in blocks_of(ROOT / "docs/bench.md") if b.label == "bench"]
    _, *words = shown.splitlines()[-1].split()
    options = [str(folder / word) if word.startswith("bench.") else word for word in words]
    done = subprocess.run(
        [sys.executable, *options, "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (
        done.stdout,
        json.loads((folder / "bench.json").read_text()),
        (folder / "bench.svg").read_text(),
    )


def test_a_quick_run_measures_all_that_are_installed(
    quick: tuple[str, dict[str, Any], str],
) -> None:
    printed, written, picture = quick
    [scenario] = written["modes"]["contest"]["scenarios"].values()
    for name, contestant in CONTESTANTS.items():
        assert (name in scenario) is contestant.is_installed
        assert contestant.title in printed
        if contestant.is_installed:
            [figures] = scenario[name]["many"]
            assert figures["events"] == written["events"]
            assert figures["cpu_all_us"] >= figures["cpu_emitter_us"] > 0
            assert contestant.title in picture


def test_a_quick_run_says_of_what_its_figures_are(quick: tuple[str, dict[str, Any], str]) -> None:
    printed, written, _ = quick
    assert written["versions"].keys() >= {"python", "hookbus", "nats-py", "nats-server"}
    assert written["machine"]["cores"] >= 1
    assert set(written["load_average"]) == {"before", "after"}
    assert "shown, not judged" in printed
    assert "every decision was checked" in printed
