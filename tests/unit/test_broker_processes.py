"""What error messages tell about processes: the tail of a log, a command, a socket's owner."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hookbus.processes import describe, listening_sockets, read_tail

# 127.0.0.1:4222 listens; 127.0.0.1:4222 has a connection; 0.0.0.0:8080 listens
PROC_NET_TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:107E 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:107E 0100007F:8D2C 01 00000000:00000000 00:00000000 00000000     0        0 222 1
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1
"""


def test_only_listening_sockets_on_the_port_are_picked() -> None:
    assert listening_sockets(PROC_NET_TCP, 4222) == {"socket:[111]"}
    assert listening_sockets(PROC_NET_TCP, 8080) == {"socket:[333]"}
    assert listening_sockets(PROC_NET_TCP, 9999) == set()


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\nthree\n")

    assert read_tail(log, lines=2) == "two\nthree"


def test_the_tail_leaves_out_what_was_written_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\nnew\n")

    assert read_tail(log, since=4) == "new"


def test_the_tail_of_a_rotated_file_is_all_of_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("new\n")

    assert read_tail(log, since=1000) == "new"


def test_the_tail_of_a_large_file_is_short(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 100_000)

    assert read_tail(log) == "x" * 8192


def test_a_missing_file_has_no_tail(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "missing") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells another process's command")
def test_a_process_is_described_by_its_command() -> None:
    assert describe(os.getpid()).startswith(f"process {os.getpid()} ('")


def test_a_process_that_ended_is_described_by_its_id_alone() -> None:
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()

    assert describe(ended.pid) == f"process {ended.pid}"
