"""The commands of services/assistant/README.md, word for word but for ports and the reference."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.docs.page import NODE
from tests.docs.story import blocks_of, demand_node
from tests.integration.commands import (
    PATIENCE,
    Bus,
    clean_environment,
    eventually,
    running,
)
from tests.services.assistant import FASTSTREAM, LOGGED, UVICORN, Assistant

PAGE = Path(__file__).parents[2] / "services" / "assistant" / "README.md"
SERVICE = PAGE.parent
BLOCKS = blocks_of(PAGE)
#: Each command that has an answer below it, and that answer.
ANSWERED = [
    (ask.body.strip(), json.loads(answer.body))
    for ask, answer in pairwise(BLOCKS)
    if (ask.label, answer.label) == ("ask", "answer")
]
VOLATILE = ("id", "reference", "trace_id")


def shell(command: str, bus: Bus, assistant: Assistant) -> str:
    command = command.replace(".venv/bin/", f"{shlex.quote(str(Path(sys.executable).parent))}/")
    command = command.replace("localhost:8000", assistant.http.base_url.netloc.decode())
    ran = subprocess.run(
        ["bash", "-c", command],
        env=clean_environment(HOOKBUS_NATS_URL=bus.url, ASSISTANT_NATS_URL=bus.url, NO_PROXY="*"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def settled(answer: dict[str, Any]) -> dict[str, Any]:
    return {k: v and type(v) if k in VOLATILE else v for k, v in answer.items()}


def block(label: str) -> str:
    [found] = [block.body for block in BLOCKS if block.label == label]
    return found


@contextmanager
def signing(bus: Bus, folder: Path) -> Iterator[None]:
    """Run the Node plugin as the page says it, in a copy of the examples."""
    demand_node()
    shutil.copytree(NODE, folder / "docs" / "examples" / "node")
    move, install, run = block("plugin").strip().split(" && ")
    there = folder / move.removeprefix("cd ")
    subprocess.run(
        install.split(), cwd=there, capture_output=True, check=True, timeout=4 * PATIENCE
    )
    with running(run.split(), there, HOOKBUS_NATS_URL=bus.url):
        eventually(lambda: bus.plugins().get("tiny") == 1)
        bus.wait_served()
        yield


def test_every_block_of_the_page_is_tried() -> None:
    others = [block.label for block in BLOCKS if block.label not in ("ask", "answer")]

    assert others == ["setup", "bus", "serve", "explain", "plugin", "inbox", "letter.py"]
    assert len(ANSWERED) == 4
    assert block("setup").strip() == (  # CI's own
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[assistant]'"
    )
    assert block("bus").strip() == ".venv/bin/hookbus up"  # the fixture's
    assert block("serve").split() == [".venv/bin/uvicorn", UVICORN[3]]
    assert block("inbox").split() == [".venv/bin/faststream", *FASTSTREAM[-2:]]


@pytest.mark.parametrize(("command", "answer"), ANSWERED)
def test_a_command_of_the_page_is_answered_as_it_says(
    bus: Bus, assistant: Assistant, tmp_path: Path, command: str, answer: dict[str, Any]
) -> None:
    with signing(bus, tmp_path) if "(signed)" in answer.get("text", "") else nullcontext():
        found = shell(command, bus, assistant)

    assert settled(json.loads(found)) == settled(answer)


def test_the_reference_of_a_blocked_answer_is_explained(bus: Bus, assistant: Assistant) -> None:
    reference = assistant.ask("read .env")["reference"]

    explained = shell(block("explain").replace("REFERENCE", reference), bus, assistant)

    assert "guard-tools" in explained


def test_the_letter_of_the_page_is_answered(bus: Bus, tmp_path: Path) -> None:
    program, *words = block("inbox").split()
    words = [*LOGGED, str(Path(sys.executable).parent / Path(program).name), *words]
    (tmp_path / "letter.py").write_text(
        block("letter.py").replace("connect()", f"connect({bus.url!r})")
    )
    with running(words, tmp_path, HOOKBUS_NATS_URL=bus.url, ASSISTANT_NATS_URL=bus.url) as process:
        eventually(lambda: "started successfully" in process.errors.read_text())
        with running([sys.executable, "letter.py"], tmp_path) as sent:
            answer = json.loads(sent.line())

    assert answer["id"].startswith("letter-")
    assert answer["text"].startswith("Alice   [redacted:email]")


def test_the_page_names_every_file_and_variable() -> None:
    text = PAGE.read_text()
    for module in SERVICE.glob("[a-z]*.py"):
        assert f"`{module.name}`" in text
        for variable in re.findall(r'environ\.get\("(\w+)"\)', module.read_text()):
            assert f"`{variable}`" in text


def test_the_service_stays_small() -> None:
    lines = sum(len(module.read_text().splitlines()) for module in SERVICE.glob("*.py"))

    assert lines < 250, lines
