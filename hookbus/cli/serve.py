"""`hookbus serve`: one role of the bus as a process of its own, as in production."""

from __future__ import annotations

import importlib
import os
import socket
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import typer

from hookbus.cli.broker_url import broker_url
from hookbus.cli.errors import UsageError
from hookbus.config.connection import connection_from
from hookbus.config.load import Loaded, read_settings
from hookbus.config.settings import BusMode
from hookbus.registry.settings_changes import Source
from hookbus.server.file_watch import FileWatch
from hookbus.server.listen import listen, parse_address

RoleName = Literal["dispatcher", "registry"]
LogLevel = Literal["debug", "info", "warning", "error"]


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(
    role: Annotated[RoleName, typer.Argument(help="What to serve.")],
    http: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where /healthz and /readyz are answered.")
    ] = "0.0.0.0:8080",
    http_fd: Annotated[
        int | None, typer.Option(metavar="N", help="An inherited listening socket instead.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings; the registry only.")
    ] = None,
    default_mode: Annotated[
        BusMode, typer.Option(hidden=True, help="The mode if the settings name none.")
    ] = "production",
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="Log one JSON object a line.")
    ] = False,
    log_level: Annotated[
        LogLevel | None,
        typer.Option(help="Log this and what is worse; else HOOKBUS_LOG_LEVEL, else info."),
    ] = None,
) -> None:
    """Serve one role until SIGTERM. The broker is found by HOOKBUS_NATS_URL.

    Over HTTP it answers /healthz, /readyz and /metrics. At the level debug it logs a line for each
    decision, with the ids that lead to it and nothing of the event.

    Example: hookbus serve registry --settings hookbus.toml --http 127.0.0.1:8081
    """
    level = log_level or _level(os.environ.get("HOOKBUS_LOG_LEVEL", ""))
    connection = connection_from()
    broker_url(None, connection)  # it would be tried for ever
    if connection.creds is not None and connection.kind != role:
        raise UsageError(
            f"serve {role}: HOOKBUS_CREDS={str(connection.creds)!r} is of {connection.kind}"
            f" {connection.principal!r}; make its own: hookbus credentials create {role} {role}"
        )
    if role == "dispatcher" and settings is not None:
        raise UsageError(
            "serve dispatcher: --settings is for the registry, which tells every dispatcher;"
            " leave it out here"
        )
    arguments = _registry(settings, default_mode) if role == "registry" else ()
    listener = _listener(http, http_fd)
    # imported only here: what a server needs is much, and the other commands do without it
    host = importlib.import_module(f"hookbus.server.{role}").host(connection, *arguments)
    as_json = json_logs or os.environ.get("HOOKBUS_LOG") == "json"
    importlib.import_module("hookbus.server.run").serve(
        host, listener, json_logs=as_json, log_level=level
    )


def _level(said: str) -> LogLevel:
    for level in get_args(LogLevel):
        if said.lower() == level:
            return cast(LogLevel, level)
    if said:
        expected = ", ".join(get_args(LogLevel))
        raise UsageError(f"HOOKBUS_LOG_LEVEL={said!r}: expected one of {expected}")
    return "info"


def _registry(file: Path | None, default_mode: BusMode) -> tuple[Source, FileWatch | None]:
    """What the registry starts with: in production a file owns the settings, or an operator."""

    def load() -> Loaded:
        return read_settings(file, default_mode=default_mode)

    loaded = load()
    is_development = default_mode == "development"
    if loaded.file is None:
        return Source(loaded.settings if loaded.is_said or is_development else None), None
    owner = None if is_development else f"the file {str(loaded.file.absolute())!r}"
    return Source(loaded.settings, owner), FileWatch(loaded, load)


def _listener(http: str, http_fd: int | None) -> socket.socket:
    if http_fd is None:
        try:
            return listen(*parse_address(http))
        except ValueError as e:
            raise UsageError(f"--http: {e}") from e
    try:
        return socket.socket(fileno=http_fd)
    except OSError as e:
        raise UsageError(f"--http-fd: expected an open socket, got {http_fd}: {e}") from e
