"""A whole bus as child processes of this one: broker, registry, dispatcher and plugins."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from hookbus.broker import EmbeddedBroker
from hookbus.cli.errors import NotReady, UsageError
from hookbus.cli.up.plugin_files import bundled_plugins as bundled_plugins
from hookbus.cli.up.plugin_files import process_name
from hookbus.cli.up.process import FIRST_DELAY, LONGEST_DELAY, Process
from hookbus.cli.up.security import OPERATOR, ROLES, Security, connection_of, environment_of
from hookbus.config.connection import nats_options
from hookbus.config.load import load_settings
from hookbus.errors import BrokerError, ControlError, TransportError
from hookbus.operations import request
from hookbus.server.listen import listen
from hookbus.transport import NatsTransport

HOST: Final = "127.0.0.1"
READY_TIMEOUT: Final = 20.0  # seconds
POLL: Final = 0.05  # seconds between two looks

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusPlan:
    """What a local bus consists of.

    Attributes:
        data_dir: the broker's own; streams and bindings stay there.
        log_dir: a log file for each child; None takes ``<data_dir>/logs``.
        settings: a settings file; None takes what HOOKBUS_SETTINGS names, or ./hookbus.toml.
            The mode is development unless the settings say otherwise.
        plugins: the scripts of the plugins to run.
        nats_port, http_port: on 127.0.0.1; 0 takes a free one.
        is_secure: the broker asks everybody for credentials, which are kept in *data_dir*.
    """

    data_dir: Path
    log_dir: Path | None = None
    settings: Path | None = None
    plugins: tuple[Path, ...] = ()
    nats_port: int = 0
    http_port: int = 0
    is_secure: bool = False


class LocalBus:
    """A running bus; nothing of it outlives this process, however that ends.

    Start it in the main thread. `start` and `stop` block, for milliseconds and for a second.
    """

    def __init__(self, plan: BusPlan) -> None:
        """Use :meth:`start`."""
        self._plan = plan
        self._log_dir = plan.log_dir or plan.data_dir / "logs"
        #: The credentials; None where everybody may do everything.
        self.security = (
            Security.prepare(plan.data_dir, map(process_name, plan.plugins))
            if plan.is_secure
            else None
        )
        self._accounts = self.security.version() if self.security else None
        self._broker = EmbeddedBroker.start(
            data_dir=plan.data_dir,
            port=plan.nats_port,
            host=HOST,
            account_file=self.security.folder.account_file if self.security else None,
        )
        self._listener: socket.socket | None = None
        #: The children by name, in the order of their start; without the broker.
        self.processes: dict[str, Process] = {}
        #: Names of plugins that are bound and do not answer: what they are asked is blocked.
        self.absent: list[str] = []
        #: Plugins that are there and are not asked, and why.
        self.unbound: dict[str, str] = {}

    @classmethod
    def start(cls, plan: BusPlan) -> Self:
        """Start every process; `wait_ready` tells when they work together.

        Raises:
            SettingsError: The settings cannot be used.
            BrokerError: nats-server, its port or its data directory cannot be had.
            HookbusError: The HTTP port or the log directory cannot be had.
        """
        load_settings(plan.settings, default_mode="development")  # to say it here what is wrong
        bus = cls(plan)
        try:
            bus._spawn_all()
        except BaseException:
            bus.stop()
            raise
        return bus

    @property
    def nats_url(self) -> str:
        return self._broker.url

    @property
    def http_url(self) -> str:
        port = self._listener.getsockname()[1] if self._listener else 0
        return f"http://{HOST}:{port}"

    @property
    def pid(self) -> int:
        return os.getpid()

    @property
    def pids(self) -> dict[str, int]:
        """The process id of every child, the broker's too."""
        return {"broker": self._broker.pid, **{n: p.pid for n, p in self.processes.items()}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop in order: plugins say goodbye, then dispatcher and registry end, then the broker."""
        plugins = [p for name, p in self.processes.items() if name not in ROLES]
        for plugin in plugins:
            plugin.ask_to_stop()
        for process in (*plugins, *(self.processes[r] for r in ROLES if r in self.processes)):
            process.stop()
        self._broker.stop()
        if self._listener is not None:
            self._listener.close()

    async def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Return when every plugin has announced itself and the dispatcher serves that.

        Raises:
            NotReady: A child ended, or not all were ready in time; with the end of a log.
        """
        deadline = time.monotonic() + timeout
        operator = connection_of(self.nats_url, self.security, OPERATOR)
        transport = await NatsTransport.connect(
            operator.nats_url, principal=OPERATOR, name="up", options=nats_options(operator)
        )
        try:
            listed = await self._wait_announced(transport, deadline)
            await self._wait_served(transport, listed["generation"], deadline)
        finally:
            await transport.close()
        bound = [plugin for plugin in listed["plugins"] if plugin["state"] == "bound"]
        self.absent = [plugin["plugin"] for plugin in bound if not plugin["replicas"]]
        self.unbound = {
            plugin["plugin"]: plugin["problem"] or "it is not named in the settings"
            for plugin in listed["plugins"]
            if plugin["state"] != "bound" and plugin["replicas"]
        }

    async def watch(self) -> None:
        """Start again what dies, later each time; runs until it is cancelled."""
        broker_due, broker_delay = 0.0, FIRST_DELAY
        while True:
            await asyncio.sleep(POLL)
            self._reload_accounts()
            if not self._broker.is_running and time.monotonic() >= broker_due:
                broker_due = time.monotonic() + broker_delay
                broker_delay = min(2 * broker_delay, LONGEST_DELAY)
                self._restart_broker()
            for process in self.processes.values():
                if process.is_due:
                    log.warning(
                        "%s; starting it again (log: %s)", process.failed(), process.log_file
                    )
                    process.restart()

    def _reload_accounts(self) -> None:
        """Let the broker know whom `hookbus credentials` has made, rotated or revoked."""
        version = self.security.version() if self.security else None
        if version is not None and version != self._accounts:
            self._accounts = version
            self._broker.reload()

    def _restart_broker(self) -> None:
        log.warning("the broker ended; starting it again on %s", self.nats_url)
        try:
            self._broker.restart()
        except BrokerError as e:
            log.warning("%s", e)

    def _spawn_all(self) -> None:
        """Spawn; each process waits for those it needs."""
        self._listener = listen(HOST, self._plan.http_port)
        try:
            self._log_dir.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UsageError(f"{str(self._log_dir)!r} cannot hold logs: {e.strerror}") from e
        registry = ["registry", "--http", f"{HOST}:0", "--default-mode", "development"]
        if self._plan.settings is not None:
            registry += ["--settings", str(self._plan.settings)]
        self._spawn_role("registry", registry)
        fd = self._listener.fileno()
        self._spawn_role("dispatcher", ["dispatcher", "--http-fd", str(fd)], (fd,))
        for script in self._plan.plugins:
            name = self._free_name(process_name(script))
            self._spawn(name, [sys.executable, str(script)], who=process_name(script))

    def _spawn_role(self, name: str, words: list[str], pass_fds: tuple[int, ...] = ()) -> None:
        command = [sys.executable, "-m", "hookbus", "serve", *words]
        self._spawn(name, command, pass_fds, who=name)

    def _spawn(
        self, name: str, command: list[str], pass_fds: tuple[int, ...] = (), *, who: str
    ) -> None:
        self.processes[name] = Process(
            name,
            command,
            log_file=self._log_dir / f"{name}.log",
            environ=environment_of(connection_of(self.nats_url, self.security, who)),
            pass_fds=pass_fds,
        )

    def _free_name(self, wanted: str) -> str:
        taken = (*ROLES, "broker", *self.processes)
        numbered = (f"{wanted}-{n}" for n in itertools.count(2))
        return next(name for name in itertools.chain([wanted], numbered) if name not in taken)

    async def _wait_announced(self, transport: NatsTransport, deadline: float) -> dict[str, Any]:
        while True:
            self._check_all()
            listed = await _list_plugins(transport)
            waiting = "registry" if listed is None else self._not_announced(listed)
            if listed is not None and waiting is None:
                return listed
            if waiting is not None and time.monotonic() > deadline:
                raise self._not_ready(waiting)
            await asyncio.sleep(POLL)

    async def _wait_served(
        self, transport: NatsTransport, generation: int, deadline: float
    ) -> None:
        while True:
            self._check_all()
            with contextlib.suppress(ControlError, TransportError):
                await request(
                    transport, OPERATOR, "wait_generation", generation=generation, timeout_ms=500
                )
                return
            if time.monotonic() > deadline:
                raise self._not_ready("dispatcher")

    def _not_announced(self, listed: dict[str, Any]) -> str | None:
        """Find a plugin of ours that the registry has not heard of, by its process id."""
        heard = {
            replica["metadata"].get("pid")
            for plugin in listed["plugins"]
            for replica in plugin["replicas"]
        }
        plugins = (p for name, p in self.processes.items() if name not in ROLES)
        return next((p.name for p in plugins if str(p.pid) not in heard), None)

    def _check_all(self) -> None:
        if not self._broker.is_running:
            raise NotReady(f"the broker ended; its log is {str(self._broker.log_file)!r}")
        for process in self.processes.values():
            process.check()

    def _not_ready(self, name: str) -> NotReady:
        process = self.processes[name]
        return NotReady(
            f"{name} was not ready in time; its log {str(process.log_file)!r} ends:\n"
            f"{process.log_tail()}"
        )


async def _list_plugins(transport: NatsTransport) -> dict[str, Any] | None:
    """List what is bound, or None while no registry answers."""
    try:
        return await request(transport, OPERATOR, "list")
    except (ControlError, TransportError):
        return None
