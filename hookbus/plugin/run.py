"""A plugin as a process: connect, serve, and leave in order on SIGTERM or ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Final

from hookbus.config.connection import Connection, connection_from, nats_options
from hookbus.errors import ConnectFailed, ConnectRefused, HookbusError, Problem, SettingsError
from hookbus.loop import run as run_loop
from hookbus.otel.setup import telemetry
from hookbus.plugin.declare import Plugin
from hookbus.plugin.serve import AnnounceAnswer, PluginServer
from hookbus.printable import clean
from hookbus.transport import NatsTransport

RETRY: Final = 1.0  # seconds between attempts to reach the broker
DRAIN_TIMEOUT: Final = 10.0  # seconds for what still runs when the process is told to stop

log = logging.getLogger("hookbus.plugin")


class PrintableLines(logging.Formatter):
    """Writes what a terminal does not obey, and what looks like no other line.

    An exception's text may quote an event, so that whoever emits would write into this log.
    """

    def format(self, record: logging.LogRecord) -> str:
        return "\n  ".join(map(clean, super().format(record).splitlines()))


def run(plugin: Plugin) -> None:
    """Serve *plugin* until the process is told to stop; what happens is logged to stderr.

    Raises:
        RuntimeError: An event loop is running already.
        SystemExit: With one line on what it cannot be served with.
    """
    _refuse_a_running_loop(plugin)
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableLines("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if not plugin.hooks:
        sys.exit(f"plugin {plugin.name!r} has no hooks; declare one with @plugin.hook(...)")
    try:
        with telemetry(plugin.name, plugin.version):
            is_stuck = run_loop(_serve(plugin))
    except HookbusError as e:  # a variable that is wrong, or a broker that refuses us
        sys.exit(f"plugin {plugin.name!r} cannot be served: {e}")
    if is_stuck:
        # a handler's thread that nobody can stop would keep the interpreter from ending
        logging.shutdown()
        os._exit(0)


def _refuse_a_running_loop(plugin: Plugin) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        f"plugin {plugin.name!r}: run() makes an event loop of its own, and one is running here; "
        "call it from plain code, or serve the plugin in this loop: "
        "await hookbus.plugin.PluginServer(plugin, transport).start()"
    )


async def _serve(plugin: Plugin) -> bool:
    """Serve until told to stop; tell whether a handler's thread still runs."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    connection = connection_from()
    _refuse_anothers_credentials(plugin, connection)
    transport = await _connect(plugin, connection, stop)
    if transport is None:
        return False
    # until here there was nothing to finish, and ctrl-C ended the process as it ends any
    loop.add_signal_handler(signal.SIGINT, stop.set)
    server = PluginServer(plugin, transport)
    server.on_answer = lambda answer: _report(plugin, answer)
    try:
        await server.start()
        transport.check_subscriptions()
        await stop.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT):
                await server.stop()
                log.info("%s ends; what it had begun is answered", plugin.name)
    finally:
        await transport.close()
    return server.stuck_threads > 0


def _refuse_anothers_credentials(plugin: Plugin, connection: Connection) -> None:
    if connection.creds is not None and connection.principal != plugin.name:
        raise SettingsError(
            f"HOOKBUS_CREDS={str(connection.creds)!r} is of {connection.kind}"
            f" {connection.principal!r}; expected those of plugin {plugin.name!r}"
            f" ('hookbus credentials create plugin {plugin.name}')"
        )


async def _connect(
    plugin: Plugin, connection: Connection, stop: asyncio.Event
) -> NatsTransport | None:
    """Try until the broker is there: containers start in any order.

    Raises:
        ConnectRefused: It is there, and refuses us, or we it: a person must mend that.
    """
    options = nats_options(connection)
    told = ""
    while not stop.is_set():
        try:
            return await NatsTransport.connect(
                connection.nats_url, principal=plugin.name, name=plugin.name, options=options
            )
        except ConnectRefused:
            raise
        except ConnectFailed as e:
            if str(e) != told:
                log.warning("%s; trying on", e)
            told = str(e)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RETRY)
    return None


def _report(plugin: Plugin, answer: AnnounceAnswer) -> None:
    hooks = ", ".join(plugin.hooks)
    if answer.state == "bound":
        log.info(
            "%s %s is bound: %s (generation %d)",
            plugin.name,
            plugin.version,
            hooks,
            answer.generation,
        )
        return
    found = (Problem(p.get("at", ""), p.get("message", "")) for p in answer.problems)
    problems = "; ".join(map(str, found))
    log.warning("%s %s is %s: %s", plugin.name, plugin.version, answer.state, problems or hooks)
