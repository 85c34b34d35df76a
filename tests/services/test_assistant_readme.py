"""The commands of services/assistant/README.md, word for word but for ports and the reference."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import (
    PATIENCE,
    Bus,
    clean_environment,
    eventually,
    plugin,
    running,
)
from tests.services.assistant import Assistant

PAGE = Path(__file__).parents[2] / "services" / "assistant" / "README.md"
SERVICE = PAGE.parent
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
PROGRAMS = [body for language, body in BLOCKS if language == "python"]
COMMANDS = [
    line for language, body in BLOCKS if language == "sh" for line in body.strip().splitlines()
]
#: Each command that has an answer below it, and that answer.
ANSWERED = [
    (command.strip(), json.loads(answer))
    for (first, command), (second, answer) in pairwise(BLOCKS)
    if (first, second) == ("sh", "json")
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


def test_every_command_and_program_of_the_page_is_tried() -> None:
    tried = [command for command, _ in ANSWERED]
    others = [command for command in COMMANDS if command not in tried]

    assert others == [
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[assistant]'",
        ".venv/bin/hookbus up",
        ".venv/bin/uvicorn services.assistant.app:app",
        ".venv/bin/hookbus decisions explain REFERENCE",
        ".venv/bin/faststream run services.assistant.inbox:app",
    ]
    assert len(PROGRAMS) == 2


@pytest.mark.parametrize(("command", "answer"), ANSWERED)
def test_a_command_of_the_page_is_answered_as_it_says(
    bus: Bus, assistant: Assistant, tmp_path: Path, command: str, answer: dict[str, Any]
) -> None:
    if "your assistant" in answer.get("text", ""):
        with plugin(bus, tmp_path, "signature", PROGRAMS[0]):
            found = shell(command, bus, assistant)
    else:
        found = shell(command, bus, assistant)

    assert settled(json.loads(found)) == settled(answer)


def test_the_reference_of_a_blocked_answer_is_explained(bus: Bus, assistant: Assistant) -> None:
    reference = assistant.ask("read .env")["reference"]

    explained = shell(f".venv/bin/hookbus decisions explain {reference}", bus, assistant)

    assert "guard-tools" in explained


def test_the_letter_of_the_page_is_answered(bus: Bus, tmp_path: Path) -> None:
    [command] = [command for command in COMMANDS if "faststream" in command]
    words = [str(Path(sys.executable).parent / "faststream"), *command.split()[1:]]
    (tmp_path / "letter.py").write_text(PROGRAMS[1].replace("connect()", f"connect({bus.url!r})"))
    with running(words, tmp_path, HOOKBUS_NATS_URL=bus.url, ASSISTANT_NATS_URL=bus.url) as process:
        eventually(lambda: "started successfully" in process.errors.read_text())
        with running([sys.executable, "letter.py"], tmp_path) as letter:
            answer = json.loads(letter.line())

    assert answer["id"].startswith("letter-")
    assert answer["text"].startswith("Alice   [redacted:email]")


def test_the_page_names_every_file_and_variable() -> None:
    text = PAGE.read_text()
    for module in SERVICE.glob("[a-z]*.py"):
        assert f"`{module.name}`" in text
        for variable in re.findall(r'environ\.get\("(\w+)"\)', module.read_text()):
            assert f"`{variable}`" in text


def test_the_service_stays_small() -> None:
    lines = [
        line for module in SERVICE.glob("*.py") for line in module.read_text().splitlines() if line
    ]

    assert len(lines) < 250, len(lines)
