"""`hookbus types` on a real bus, and docs/types.md as it is written."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.page import Page, read_page
from tests.integration.commands import (
    HOOKBUS,
    PATIENCE,
    Bus,
    clean_environment,
    eventually,
    hookbus,
    running,
    up,
)

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

PAGE = Path(__file__).parents[2] / "docs" / "types.md"
SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}


@pytest.fixture(scope="module")
def page() -> Page:
    return read_page(PAGE)


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    with up(tmp_path_factory.mktemp("types"), "--no-bundled") as bus:
        yield bus


@pytest.fixture
def fresh(bus: Bus) -> Iterator[Bus]:
    """The shared bus, with the built-in types only once the test is over."""
    yield bus
    bus.control("apply", settings={})


def run(bus: Bus, folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the page in *folder*."""
    _, *words = shlex.split(line)
    return subprocess.run(
        [*HOOKBUS, *words],
        cwd=folder,
        env=clean_environment(HOOKBUS_NATS_URL=bus.url, COLUMNS="80"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def write(folder: Path, name: str, schema: Any) -> str:
    file = folder / name
    file.write_text(json.dumps(schema))
    return str(file)


def test_what_the_page_says_is_what_happens(fresh: Bus, page: Page, tmp_path: Path) -> None:
    (tmp_path / "order_placed.json").write_text(page.blocks["schema"])
    for label in ("add", "generate"):
        for line in page.blocks[label].splitlines():
            done = run(fresh, tmp_path, line)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
    (tmp_path / "plugin.py").write_text(page.blocks["plugin"])
    with running([sys.executable, "plugin.py"], tmp_path, HOOKBUS_NATS_URL=fresh.url):
        eventually(lambda: fresh.plugins().get("order-limit") == 1)
        fresh.wait_served()
        fine = fresh.emit("order_placed", {"id": "o-17", "total": 12.5})
        above = fresh.emit("order_placed", {"id": "o-17", "total": 1200})
        listed = fresh.run("types")

    assert (fine.outcome, above.outcome, above.code) == ("continue", "block", "above_limit")
    assert max(map(len, listed.stdout.splitlines())) <= 80
    [row] = [line.split() for line in listed.stdout.splitlines() if "order_placed" in line]
    assert row == ["order_placed", "settings", "id,", "total", "/card", "order-limit"]


def test_the_page_shows_what_a_stricter_schema_is_told(
    fresh: Bus, page: Page, tmp_path: Path
) -> None:
    schema = page.value("schema")
    fresh.run("types", "add", write(tmp_path, "order_placed.json", schema))
    stricter = {**schema, "required": ["id", "total", "card"], "examples": []}

    done = fresh.run("types", "add", write(tmp_path, "order_placed.json", stricter))

    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert "order_placed is not added; add --force to do it all the same" in done.stderr
    for line in page.blocks["refused"].splitlines():
        assert line in lines


def test_the_settings_of_the_page_can_be_used(page: Page, tmp_path: Path) -> None:
    write(tmp_path, "order_placed.json", page.value("schema"))
    file = tmp_path / "hookbus.toml"
    file.write_text(page.blocks["settings"])

    checked = hookbus("settings", "check", str(file))
    made = hookbus("types", "generate", "--python", "--settings", str(file))

    assert (checked.returncode, made.returncode) == (0, 0)
    assert "class OrderPlaced(Payload):" in made.stdout


def test_a_type_is_shown_with_a_command_that_emits_it(fresh: Bus, tmp_path: Path) -> None:
    fresh.run("types", "add", write(tmp_path, "chat.order_placed.schema.json", SCHEMA))

    shown = fresh.run("types", "chat.order_placed")
    command = shown.stdout.splitlines()[-1]
    emitted = run(fresh, tmp_path, command)

    assert command == 'hookbus emit chat.order_placed --data \'{"id":"hello"}\''
    assert (emitted.returncode, emitted.stderr) == (0, "")


def test_force_adds_it_all_the_same_and_json_says_everything(fresh: Bus, tmp_path: Path) -> None:
    file = write(tmp_path, "order_placed.json", SCHEMA)
    stricter = write(tmp_path, "stricter.json", {**SCHEMA, "additionalProperties": False})
    fresh.run("types", "add", file)
    words = ("types", "add", stricter, "--type", "order_placed", "--json")

    held, trial = fresh.run(*words), fresh.run(*words, "--dry-run")
    forced = fresh.run(*words, "--force")
    shown = json.loads(fresh.run("types", "order_placed", "--json").stdout)

    assert (held.returncode, trial.returncode, forced.returncode) == (1, 1, 0)
    assert json.loads(held.stdout)["generation"] is None
    assert json.loads(held.stdout)["types"][0]["verdict"] == "refuses"
    assert json.loads(held.stdout) == json.loads(trial.stdout)
    assert json.loads(forced.stdout)["generation"] == shown["generation"]
    assert shown["types"][0]["schema"] == {**SCHEMA, "additionalProperties": False}
    assert shown["types"][0]["example"] == {"id": "hello"}


def test_applying_a_file_says_which_types_refuse_events(fresh: Bus, tmp_path: Path) -> None:
    fresh.run("types", "add", write(tmp_path, "order_placed.json", SCHEMA))
    file = tmp_path / "hookbus.toml"
    file.write_text('[types.message_received]\nschema = { required = ["text", "user"] }\n')

    checked = hookbus("settings", "check", str(file))
    applied = fresh.run("settings", "apply", str(file), "--dry-run")

    assert (checked.returncode, applied.returncode) == (0, 0)
    assert "message_received: events that fitted are refused" in checked.stdout
    assert "message_received: events that fitted are refused" in applied.stdout
    assert "not a type of this bus any more: every event of it is refused" in applied.stdout


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("Order.json", "{}", "'Order' is no event type"),
        ("order_placed.json", "{", "expected a JSON Schema: "),
        ("order_placed.json", "[]", "expected a JSON Schema, an object"),
        ("order_placed.json", '{"type": "x", "minimum": "y"}', "/minimum: "),
        ("order_placed.json", '{"type": "x", "minimum": "y"}', "/type: "),
    ],
)
def test_a_file_that_cannot_be_used_is_exit_code_2_with_what_is_wrong(
    name: str, content: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_text(content)

    done = hookbus("types", "add", str(file), url="nats://127.0.0.1:1")

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_schema_may_come_from_stdin_and_then_needs_a_name(fresh: Bus) -> None:
    nameless = fresh.run("types", "add", "-", stdin="{}")
    done = fresh.run("types", "add", "-", "--type", "order_placed", stdin="{}")

    assert (nameless.returncode, done.returncode) == (2, 0)
    assert "--type" in nameless.stderr


def test_an_unknown_type_names_the_near_one_and_an_event_of_it_the_command(bus: Bus) -> None:
    shown = bus.run("types", "mesage_received")
    emitted = bus.run("emit", "order_placed", "--data", "{}")

    assert (shown.returncode, emitted.returncode) == (2, 2)
    assert "did you mean 'message_received'?" in shown.stderr
    assert "`hookbus types add order_placed.json`" in emitted.stderr


def test_without_types_of_its_own_a_bus_has_nothing_to_generate(bus: Bus) -> None:
    done = bus.run("types", "generate", "--python")
    language = bus.run("types", "generate")
    named = bus.run("types", "generate", "--python", "tool_invoked")

    assert (done.returncode, language.returncode, named.returncode) == (2, 2, 0)
    assert "whose models are in hookbus" in done.stderr
    assert "expected --python" in language.stderr
    assert "class ToolInvoked(Payload):" in named.stdout
