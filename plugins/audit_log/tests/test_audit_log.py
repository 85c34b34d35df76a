"""What audit-log writes, once, where, and what happens when it cannot."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from audit_config import Config, InvalidConfig
from audit_lines import entry, key_in, key_of, line
from audit_sink import FileSink, Log, StreamSink, recent_keys

from hookbus import Decision, HookEvent, PluginRecord
from hookbus.models import EventRef

NOW = datetime(2026, 11, 21, 10, 0, 0, 120_000, tzinfo=UTC)


def record(plugin: str, ms: float) -> PluginRecord:
    return PluginRecord(plugin=plugin, hook="h", version="1.0.0", phase="validate", ms=ms)


BLOCKED = Decision(
    id="d1",
    event=EventRef(id="e1", source="/chat", type="tool_invoked"),
    outcome="block",
    principal="chat",
    cause="verdict",
    code="no",
    by="guard",
    reason="guard: no",
    records=(record("redact", 1.25), record("guard", 0.5), record("redact", 0.5)),
    generation=12,
)
EVENT: HookEvent[Any] = HookEvent(
    id="e1",
    source="/chat",
    type="tool_invoked",
    time="2026-11-21T10:00:00Z",
    data={"text": "secret\nline"},
    principal="chat",
    decision=BLOCKED,
)
NOTIFIED: HookEvent[Any] = HookEvent(
    id="e2", source="/chat", type="user_left", data=None, principal="chat"
)


def written(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_an_entry_says_who_what_and_why_without_the_payload() -> None:
    assert entry(EVENT, NOW, include_data=False) == {
        "time": "2026-11-21T10:00:00.120+00:00",
        "event": {
            "id": "e1",
            "source": "/chat",
            "type": "tool_invoked",
            "time": "2026-11-21T10:00:00Z",
        },
        "principal": "chat",
        "decision": "d1",
        "outcome": "block",
        "by": "guard",
        "cause": "verdict",
        "code": "no",
        "reason": "guard: no",
        "generation": 12,
        "degraded": False,
        "ms": {"redact": 1.75, "guard": 0.5},
    }


def test_the_line_that_the_page_shows_has_the_members_of_a_real_one() -> None:
    page = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    shown = json.loads(page.split("```json line\n")[1].split("```")[0])
    real = entry(EVENT, NOW, include_data=False)

    assert list(shown) == list(real)
    assert list(shown["event"]) == list(real["event"])


def test_the_payload_is_written_when_it_is_asked_for() -> None:
    assert entry(EVENT, NOW, include_data=True)["data"] == {"text": "secret\nline"}


def test_a_notified_event_has_no_outcome() -> None:
    assert entry(NOTIFIED, NOW, include_data=False)["outcome"] is None


def test_an_entry_is_one_line_whatever_is_in_it() -> None:
    text = line(entry(EVENT, NOW, include_data=True) | {"reason": "a\nb\ud800 é"})

    assert text.count(b"\n") == 1
    assert json.loads(text)["event"]["id"] == "e1"


@pytest.mark.parametrize("event", [EVENT, NOTIFIED])
def test_the_key_of_an_event_is_read_back_from_its_line(event: HookEvent[Any]) -> None:
    assert key_in(line(entry(event, NOW, include_data=False))) == key_of(event)


def test_a_line_that_was_cut_has_no_key() -> None:
    assert key_in(b'{"decision":"d1","ev') is None
    assert key_in(b"[]") is None


def test_a_redelivered_event_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = Log(Config(path=str(path)))

    results = [log.write("d1", b"one\n"), log.write("d1", b"again\n"), log.write("d2", b"two\n")]

    log.close()
    assert results == [True, False, True]
    assert written(path) == ["one", "two"]


def test_only_the_last_lines_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = Log(Config(path=str(path), remember=1))

    results = [log.write(key, b"x\n") for key in ("d1", "d2", "d1")]

    log.close()
    assert results == [True, True, True]


def test_a_restart_remembers_what_the_file_ends_with(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    first = Log(Config(path=str(path)))
    first.write("d1", line(entry(EVENT, NOW, include_data=False)))
    first.close()

    second = Log(Config(path=str(path)))

    assert second.write("d1", b"again\n") is False
    second.close()


def test_keys_are_read_from_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'not json\n{"decision":"d1"}\n{"decision":"d2"}\n')

    assert recent_keys(path, 1) == ["d2"]
    assert recent_keys(tmp_path / "missing", 1) == []


def test_a_file_that_cannot_be_written_raises_and_the_event_may_come_again(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    log = Log(Config(path=str(folder / "audit.jsonl")))

    with pytest.raises(FileNotFoundError):
        log.write("d1", b"one\n")
    folder.mkdir()

    assert log.write("d1", b"one\n") is True
    log.close()


def test_a_full_file_is_moved_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = FileSink(Config(path=str(path), max_bytes=4, keep=2))

    for text in (b"1\n", b"2\n", b"3\n", b"4\n", b"5\n", b"6\n", b"7\n"):
        sink.append(text)

    sink.close()
    assert written(path) == ["7"]
    assert written(tmp_path / "audit.jsonl.1") == ["5", "6"]
    assert written(tmp_path / "audit.jsonl.2") == ["3", "4"]
    assert not (tmp_path / "audit.jsonl.3").exists()


def test_a_line_longer_than_the_limit_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = FileSink(Config(path=str(path), max_bytes=4))

    sink.append(b"long line\n")

    sink.close()
    assert written(path) == ["long line"]


def test_a_file_that_was_moved_away_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = FileSink(Config(path=str(path)))
    sink.append(b"1\n")

    path.rename(tmp_path / "moved")
    sink.append(b"2\n")

    sink.close()
    assert written(path) == ["2"]
    assert written(tmp_path / "moved") == ["1"]


def test_a_new_file_is_not_readable_by_everybody(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = FileSink(Config(path=str(path)))

    sink.append(b"1\n")

    sink.close()
    assert os.stat(path).st_mode & 0o007 == 0


def test_a_full_disk_raises() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    sink = FileSink(Config(path=str(full)))

    with pytest.raises(OSError, match="No space left"):
        sink.append(b"1\n")
    sink.close()


def test_a_stream_gets_every_line_at_once(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with path.open("wb") as stream:
        StreamSink(stream).append(b"1\n")

        assert path.read_bytes() == b"1\n"


@pytest.mark.parametrize(
    "config",
    [
        {"file": "x"},
        {"path": ""},
        {"path": 1},
        {"max_bytes": -1},
        {"max_bytes": True},
        {"keep": 0},
        {"include_data": "yes"},
    ],
)
def test_a_wrong_configuration_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        Config.from_config(config)
