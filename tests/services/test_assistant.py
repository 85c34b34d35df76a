"""The assistant as its users have it: HTTP, a real bus, and the reference plugins."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import Bus, eventually, plugin, running
from tests.services.assistant import UVICORN, Assistant

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def decisions(bus: Bus, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bus.run("decisions", "--json", *words).stdout.splitlines()]


def test_a_secret_in_an_answer_is_rewritten(assistant: Assistant) -> None:
    response = assistant.post("read contacts.txt")

    assert response.status_code == 200
    assert response.json()["text"].splitlines()[0] == "Alice   [redacted:email]   printing"


def test_the_rules_see_the_rewritten_question(assistant: Assistant) -> None:
    assert "You said: I am [redacted:email]\n" in assistant.ask("I am alice@example.com")["text"]


def test_a_blocked_answer_has_a_reference_and_no_reason(bus: Bus, assistant: Assistant) -> None:
    response = assistant.post("list then read .env")

    answer = response.json()
    assert response.status_code == 403
    assert (answer["status"], answer["text"]) == ("blocked", "This file may not be used by tools.")
    [decision] = decisions(bus, "--trace", answer["trace_id"], "--outcome", "block")
    assert decision["id"] == answer["reference"]
    assert decision["reason"] not in response.text
    explained = bus.run("decisions", "explain", answer["reference"])
    assert (explained.returncode, "guard-tools" in explained.stdout) == (0, True)


def test_every_step_is_an_event_of_the_callers_trace(bus: Bus, assistant: Assistant) -> None:
    answer = assistant.ask("list, then what is 2 + 3 * 4?", traceparent=PARENT)

    assert answer["trace_id"] == TRACE
    assert answer["text"].endswith("\n\n14")
    steps = eventually(lambda: (s := decisions(bus, "--trace", TRACE)) and len(s) == 4 and s)
    assert [(step["event"]["type"], step["event"]["source"]) for step in steps] == [
        ("message_received", "/assistant"),
        ("tool_invoked", "/assistant"),
        ("tool_invoked", "/assistant"),
        ("response_generated", "/assistant"),
    ]
    log = bus.data_dir / "logs" / "audit-log.log"
    ids = {step["event"]["id"] for step in steps}
    eventually(lambda: all(event in log.read_text() for event in ids))


def test_a_question_without_a_trace_context_begins_a_trace(assistant: Assistant) -> None:
    first, second = (assistant.ask("hello")["trace_id"] for _ in range(2))

    assert len(first) == len(second) == 32
    assert len({first, second, TRACE}) == 3


@pytest.mark.parametrize(
    "broken", ["x", f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE}-{'0' * 16}-01"]
)
def test_a_trace_context_that_is_none_is_answered_without(
    assistant: Assistant, broken: str
) -> None:
    assert assistant.ask("hello", traceparent=broken)["trace_id"] is None


def test_a_retry_gets_the_same_decision(assistant: Assistant) -> None:
    first, second = (assistant.ask("read .env", idempotency_key="k1") for _ in range(2))

    assert first["reference"] == second["reference"]


def test_another_question_with_the_same_key_is_another_one(assistant: Assistant) -> None:
    assistant.ask("read .env", idempotency_key="k2")

    assert assistant.ask("what is 1 + 1", idempotency_key="k2")["text"] == "2"


NO_QUESTIONS: list[tuple[bytes, int]] = [
    (b"", 422),
    (b"x", 422),
    (b"[]", 422),
    (b'"hello"', 422),
    (b"{}", 422),
    (b'{"text": ""}', 422),
    (b'{"text": " \\n"}', 422),
    (b'{"text": 5}', 422),
    (b'{"text": null}', 422),
    (b'{"text": "half \\ud800"}', 422),
    (b'{"text": "hi", "\\ud800": 1}', 422),
    (b'{"text": "hi", "user": {}}', 422),
    (b'{"text": "hi", "more": 1}', 422),
    (b'{"text": "' + b"x" * 4001 + b'"}', 422),
    (b"[" * 60_000, 400),
    (b'{"text": "' + b"x" * 3_000_000 + b'"}', 413),
]


@pytest.mark.parametrize(("body", "status"), NO_QUESTIONS, ids=range(len(NO_QUESTIONS)))
def test_what_is_no_question_is_refused(assistant: Assistant, body: bytes, status: int) -> None:
    response = assistant.http.post(
        "/messages", content=body, headers={"Content-Type": "application/json"}
    )

    assert response.status_code == status
    assert "Traceback" not in assistant.log()


def test_what_the_bus_does_not_take_is_refused(assistant: Assistant) -> None:
    response = assistant.post("what nobody takes")

    assert (response.status_code, response.json()["status"]) == (422, "refused")
    assert response.json()["text"] == "This is not accepted: /data/text"
    assert "nobody takes" not in assistant.log()


@pytest.mark.parametrize("text", ["read ../../etc/passwd", "read /etc/hostname", "list .."])
def test_no_question_leads_out_of_the_folder(assistant: Assistant, text: str) -> None:
    assert assistant.ask(text)["text"].startswith(("read_file can do", "list_files can do"))


def test_everybody_gets_their_own_answer(assistant: Assistant) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: assistant.ask(f"what is {n} + 0")["text"], range(40)))

    assert answers == [str(n) for n in range(40)]


def test_a_second_server_on_the_port_says_that_it_is_taken(
    bus: Bus, assistant: Assistant, tmp_path: Path
) -> None:
    command = [*UVICORN, str(assistant.http.base_url.port)]
    with running(command, tmp_path, HOOKBUS_NATS_URL=bus.url) as second:
        assert second.wait() != 0
        assert "address already in use" in second.errors.read_text()


ABSENT = """
from hookbus import Plugin
plugin = Plugin("absent", version="1.0.0")

@plugin.hook("response_generated", phase="validate")
async def never(event): ...

plugin.run()
"""
FAILING = """
from hookbus import Plugin
plugin = Plugin("failing", version="1.0.0")

@plugin.hook("response_generated", phase="validate", on_failure="open")
async def fail(event):
    raise RuntimeError("out of order")

plugin.run()
"""
LISTING = """
from hookbus import HookEvent, Intercept, Plugin, ToolInvoked
plugin = Plugin("listing", version="1.0.0")

@plugin.hook("tool_invoked", phase="mutate")
async def list_instead(event: HookEvent[ToolInvoked]):
    return Intercept(data={"name": "list_files", "args": {"path": "prices"}})

plugin.run()
"""


def test_a_rewritten_call_is_the_one_that_runs(
    bus: Bus, assistant: Assistant, tmp_path: Path
) -> None:
    with plugin(bus, tmp_path, "listing", LISTING):
        assert assistant.ask("read notes.txt")["text"] == "2026.csv"


def test_a_guard_that_failed_open_is_told(bus: Bus, assistant: Assistant, tmp_path: Path) -> None:
    with plugin(bus, tmp_path, "failing", FAILING):
        answer = assistant.ask("hello")

    assert (answer["status"], answer["degraded"]) == ("answered", True)
    assert answer["trace_id"] in assistant.log()


def test_while_a_plugin_is_gone_nobody_can_decide(
    bus: Bus, assistant: Assistant, tmp_path: Path
) -> None:
    with plugin(bus, tmp_path, "absent", ABSENT) as process:
        process.stop(9)
        response = assistant.post("hello")
    bus.run("plugins", "remove", "absent")

    assert (response.status_code, response.json()["status"]) == (503, "undecided")
    assert response.json()["text"] == "This cannot be answered now."
    assert assistant.ask("hello")["status"] == "answered"
