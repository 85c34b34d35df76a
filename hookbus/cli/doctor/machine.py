"""This computer: environment, settings file, programs, ports, data directory, clock."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import os
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hookbus.broker import find_nats_server
from hookbus.broker_needs import version_problem
from hookbus.cli.doctor.finding import Finding, ok, problem, unknown
from hookbus.cli.settings.file import is_for_production, to_be_announced
from hookbus.config.connection import connection_from
from hookbus.config.load import VARIABLE_PREFIX, read_settings
from hookbus.config.settings import Settings
from hookbus.errors import BrokerError, HookbusError, SettingsError
from hookbus.processes import describe, find_port_owner, listening_sockets

MIN_FREE_BYTES: Final = 512 * 1024 * 1024
VERSION_TIMEOUT: Final = 5.0  # seconds for `nats-server --version`

#: Variables that are no setting.
VARIABLES: Final = (
    *("HOOKBUS_NATS_URL", "HOOKBUS_PRINCIPAL", "HOOKBUS_CREDS", "HOOKBUS_SETTINGS"),
    *("HOOKBUS_LOG", "HOOKBUS_LOG_LEVEL"),
    *("HOOKBUS_TLS_CA", "HOOKBUS_TLS_CERT", "HOOKBUS_TLS_KEY"),
)
#: What a whole bus imports, by the extra that brings it.
MODULES: Final = {
    "server": (
        *("cel_expr_python", "faststream", "jsonschema_rs", "structlog", "uuid_utils", "uvicorn"),
    ),
    "cli": ("rich", "typer"),
}


def environment(environ: Mapping[str, str]) -> Finding:
    """Read the connection's variables, and find those that nobody reads."""
    try:
        connection_from(environ)
    except HookbusError as e:
        return problem("environment", str(e), "correct that variable, or unset it")
    known = (*VARIABLES, *(f"{VARIABLE_PREFIX}{n.upper()}" for n in Settings.model_fields))
    given = sorted(name for name in environ if name.startswith(VARIABLE_PREFIX))
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "unset it"
            return problem("environment", f"{name} is read by nobody", hint)
    return ok("environment", ", ".join(given) or "no HOOKBUS_… variable is set")


def settings(file: Path | None, environ: Mapping[str, str]) -> Finding:
    """Read the settings as a registry that is started here would."""
    try:
        loaded = read_settings(file, environ)
    except SettingsError as e:
        first, _, rest = str(e).partition("\n")
        more = f" (and {len(rest.splitlines())} more)" if rest else ""
        return problem("settings", first + more, "correct it; 'hookbus settings check FILE'")
    if loaded.file is None:
        return ok("settings", "no file here; the defaults hold, or what is applied")
    missing = to_be_announced(loaded.settings)
    if missing and is_for_production(loaded.settings):
        said = f"{loaded.file}: {missing[0]}"
        return problem("settings", said, f"say it, or see 'hookbus settings check {loaded.file}'")
    return ok("settings", f"{loaded.file} can be used")


def extras(is_there: Callable[[str], bool] = lambda name: find_spec(name) is not None) -> Finding:
    """Look whether what a bus needs is installed; nothing is imported."""
    missing = {
        extra: [name for name in names if not is_there(name)] for extra, names in MODULES.items()
    }
    for extra, names in missing.items():
        if names:
            said = f"not installed: {', '.join(names)}"
            return problem("packages", said, f"pip install 'hookbus[{extra}]'")
    return ok("packages", "all that a bus needs is installed")


def server_program(find: Callable[[], Path] = find_nats_server) -> Finding:
    """Look for the nats-server that `hookbus up` starts."""
    try:
        path = find()
        done = subprocess.run(  # noqa: S603 - the program that `up` would run
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT,
            check=False,
        )
    except BrokerError as e:
        said, _, next_ = str(e).rpartition("; ")
        return problem("nats-server", said, next_)
    except (OSError, subprocess.TimeoutExpired) as e:
        return problem("nats-server", f"it cannot be run: {e}", "pip install 'hookbus[broker]'")
    version = done.stdout.strip().rpartition(" ")[2].removeprefix("v")
    if lack := version_problem(version):
        return problem("nats-server", f"{path}: {lack.said}", "pip install -U 'hookbus[broker]'")
    return ok("nats-server", f"{version} at {path}")


def port(number: int, option: str, *, table: Callable[[], str] | None = None) -> Finding:
    """Look whether something listens on a port that `hookbus up` would take."""
    check = f"port {number}"
    read = table or _listeners
    try:
        taken = listening_sockets(read(), number)
    except OSError:
        return unknown(check, "this system does not tell who listens")
    if not taken:
        return ok(check, "free")
    owner = find_port_owner(number)
    who = describe(owner) if owner else "another process"
    return problem(check, f"taken by {who}", f"stop it, or use {option}")


def _listeners() -> str:
    rows = Path("/proc/net/tcp").read_text()
    with contextlib.suppress(OSError):
        rows += Path("/proc/net/tcp6").read_text().partition("\n")[2]
    return rows


def data_directory(
    directory: Path,
    *,
    is_bus_up: bool,
    free_bytes: Callable[[Path], int] = lambda path: _free_bytes(path),
) -> Finding:
    """Look at the directory of `hookbus up`; nothing is made or locked for longer than a look."""
    check = "data"
    elsewhere = "'hookbus up --data DIR' takes another one"
    if not directory.exists():
        return ok(check, f"{directory} is not there yet; 'hookbus up' makes it")
    if not directory.is_dir() or not os.access(directory, os.W_OK):
        return problem(check, f"{directory} cannot be written", elsewhere)
    free = free_bytes(directory)
    if free < MIN_FREE_BYTES:
        said = f"{free // 2**20} MiB are free on the disk of {directory}"
        return problem(check, said, f"make room; {elsewhere}")
    owner = _lock_owner(directory / ".lock")
    if owner is not None and not is_bus_up:
        said = f"{directory} is in use by {owner}, and no broker answers"
        return problem(check, said, f"stop that process; {elsewhere}")
    return ok(check, f"{directory}, in use by {owner}" if owner else f"{directory}, free to use")


def _lock_owner(lock_file: Path) -> str | None:
    try:
        with lock_file.open("rb") as lock:
            try:
                # a shared lock for an instant; a broker that starts waits longer than that
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = lock.read(20).decode(errors="replace").strip()
                return describe(int(owner)) if owner.isdecimal() else "another process"
    except OSError:
        return None
    return None


def _free_bytes(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def clock(now: float, files: Collection[Path]) -> Finding:
    """Compare the clock with files that were written before: a clock only goes forward."""
    newest = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    said = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if now < newest - 60:
        return problem("clock", f"{said} is before hookbus was installed", "set this clock")
    return ok("clock", f"{said}; compared with a broker's only if one answers")


def on_this_machine(environ: Mapping[str, str], file: Path | None) -> Iterator[Finding]:
    """All that can be looked at without a broker and without a port."""
    yield environment(environ)
    yield settings(file, environ)
    yield extras()
    yield server_program()
