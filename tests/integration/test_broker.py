"""The embedded broker against the real nats-server."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nats
import pytest

import hookbus.broker
from hookbus.broker import EmbeddedBroker, _lock_directory, _Setup, find_nats_server
from hookbus.errors import BrokerError

TIMEOUT = 10.0
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")

# A parent that starts a broker, tells its process id, and never stops it.
PARENT = """
import pathlib, signal, sys
from hookbus.broker import EmbeddedBroker
print(EmbeddedBroker.start(data_dir=pathlib.Path(sys.argv[1])).pid, flush=True)
signal.pause()
"""


@pytest.fixture(scope="module", autouse=True)
def _nats_server_is_installed() -> None:
    try:
        find_nats_server()
    except BrokerError as e:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(e))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker.start(data_dir=tmp_path / "data") as broker:
        yield broker


def wait_until(is_true: Callable[[], bool]) -> bool:
    """Look every 2 ms, because a process that is not our child cannot be waited for."""
    deadline = time.monotonic() + TIMEOUT
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.002)
    return is_true()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return True
    except FileNotFoundError:  # not Linux, or gone between the two looks
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"  # in a container nobody may collect an orphan


async def store(url: str, data: bytes) -> None:
    connection = await nats.connect(url)
    stream = connection.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"])
    await stream.publish("kept", data)
    await connection.close()


async def read_stored(url: str) -> bytes | None:
    connection = await nats.connect(url)
    message = await connection.jetstream().get_msg("KEPT", seq=1)
    await connection.close()
    return message.data


async def ask_max_payload(url: str) -> int:
    connection = await nats.connect(url)
    max_payload = connection.max_payload
    await connection.close()
    return max_payload


def test_a_started_broker_runs_on_a_free_port(broker: EmbeddedBroker, tmp_path: Path) -> None:
    assert broker.is_running
    assert broker.port not in (0, 4222)
    assert broker.url == f"nats://127.0.0.1:{broker.port}"
    assert broker.data_dir == tmp_path / "data"
    assert "Server is ready" in broker.log_file.read_text()


def test_a_broker_takes_messages_of_8_mib(broker: EmbeddedBroker) -> None:
    assert asyncio.run(ask_max_payload(broker.url)) == 8388608


def test_a_broker_on_every_address_has_a_url_to_connect_to(tmp_path: Path) -> None:
    with EmbeddedBroker.start(data_dir=tmp_path, host="0.0.0.0", max_payload=1024) as broker:
        assert asyncio.run(ask_max_payload(broker.url)) == 1024


def test_the_name_of_the_data_directory_may_hold_any_character(tmp_path: Path) -> None:
    with EmbeddedBroker.start(data_dir=tmp_path / 'a "q" \\ $x # {ü}') as broker:
        asyncio.run(store(broker.url, b"x"))

        assert (broker.data_dir / "jetstream").is_dir()


def test_a_second_broker_on_the_same_directory_is_refused_naming_the_first(
    broker: EmbeddedBroker,
) -> None:
    with pytest.raises(BrokerError) as error:
        EmbeddedBroker.start(data_dir=broker.data_dir)

    assert f"data directory {str(broker.data_dir)!r} is in use by process {os.getpid()}" in str(
        error.value
    )
    assert broker.is_running


@LINUX_ONLY
def test_the_server_itself_holds_the_lock_too(broker: EmbeddedBroker) -> None:
    descriptors = Path(f"/proc/{broker.pid}/fd").iterdir()

    assert str(broker.data_dir / ".lock") in {os.readlink(path) for path in descriptors}


@LINUX_ONLY
def test_a_taken_port_is_refused_naming_its_owner(broker: EmbeddedBroker, tmp_path: Path) -> None:
    with pytest.raises(BrokerError) as error:
        EmbeddedBroker.start(data_dir=tmp_path / "other", port=broker.port)

    message = str(error.value)
    assert message.startswith(
        f"port {broker.port} on 127.0.0.1 is taken by process {broker.pid} ('"
    )
    assert message.endswith("'): stop it, or choose another port (--port 0 takes a free one)")


def test_a_refused_start_gives_its_directory_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BrokerError, match="taken"):
        EmbeddedBroker.start(data_dir=tmp_path, port=taken.getsockname()[1])

    with EmbeddedBroker.start(data_dir=tmp_path) as broker:
        assert broker.is_running


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[Callable[[str], EmbeddedBroker]]:
    """Start a program that is not nats-server in its place."""
    lock = _lock_directory(tmp_path)

    def start(source: str) -> EmbeddedBroker:
        program = tmp_path / "nats-server"
        program.write_text(source)
        program.chmod(0o755)
        return EmbeddedBroker(program, _Setup("127.0.0.1", -1, tmp_path, 1024), lock)

    yield start
    os.close(lock)


def test_a_server_that_ends_at_start_is_told_with_what_it_logged_since(
    start_program: Callable[[str], EmbeddedBroker], tmp_path: Path
) -> None:
    (tmp_path / "nats-server.log").write_text("an older line\n")

    with pytest.raises(BrokerError) as error:
        start_program("#!/bin/sh\necho broken\nexit 3\n")

    assert str(error.value) == "nats-server ended at start with code 3; its log:\nbroken"


def test_an_address_that_is_not_ours_is_told_in_the_words_of_nats_server(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="cannot assign requested address"):
        EmbeddedBroker.start(data_dir=tmp_path, host="192.0.2.1")


def test_a_server_that_is_not_ready_in_time_is_stopped_and_told_with_its_log(
    start_program: Callable[[str], EmbeddedBroker],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hookbus.broker, "START_TIMEOUT", 0.5)

    with pytest.raises(BrokerError) as error:
        start_program("#!/bin/sh\necho recovering $$\nexec sleep 60\n")

    message, _, pid = str(error.value).rpartition(" ")
    assert message == "nats-server was not ready within 0.5 s; its log:\nrecovering"
    assert is_gone(int(pid))


def test_a_program_that_cannot_be_executed_is_told(
    start_program: Callable[[str], EmbeddedBroker],
) -> None:
    with pytest.raises(BrokerError, match=r"nats-server' cannot be executed: Exec format error$"):
        start_program("no program")


def test_a_directory_that_nats_server_cannot_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nats-server.conf").mkdir()

    with pytest.raises(BrokerError, match=r"is not writable \(.*\): choose another one"):
        EmbeddedBroker.start(data_dir=tmp_path)


def test_what_was_stored_survives_a_stop_and_a_start(tmp_path: Path) -> None:
    with EmbeddedBroker.start(data_dir=tmp_path) as first:
        asyncio.run(store(first.url, b"kept"))

    with EmbeddedBroker.start(data_dir=tmp_path) as second:
        assert asyncio.run(read_stored(second.url)) == b"kept"


def test_a_restart_after_a_kill_keeps_port_and_store(broker: EmbeddedBroker) -> None:
    asyncio.run(store(broker.url, b"kept"))
    first_port, first_pid = broker.port, broker.pid
    os.kill(broker.pid, signal.SIGKILL)
    assert wait_until(lambda: not broker.is_running)

    broker.restart()

    assert broker.is_running
    assert broker.port == first_port
    assert broker.pid != first_pid
    assert asyncio.run(read_stored(broker.url)) == b"kept"


def test_a_stopped_broker_is_gone_and_cannot_be_restarted(broker: EmbeddedBroker) -> None:
    broker.stop()
    broker.stop()

    assert not broker.is_running
    assert is_gone(broker.pid)
    with pytest.raises(BrokerError, match="was stopped: start a new one"):
        broker.restart()


def test_a_stale_ports_file_is_removed(tmp_path: Path) -> None:
    stale, other = tmp_path / "nats-server_1.ports", tmp_path / "my.ports"
    stale.write_text('{"nats": ["nats://127.0.0.1:1"]}')
    other.touch()

    with EmbeddedBroker.start(data_dir=tmp_path):
        assert not stale.exists()
        assert other.exists()


def test_no_nats_server_is_left_after_a_kill_of_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        was_gone = is_gone(pid)
        parent.kill()

    assert not was_gone
    assert wait_until(lambda: is_gone(pid))
    with EmbeddedBroker.start(data_dir=tmp_path) as next_broker:
        assert next_broker.is_running
