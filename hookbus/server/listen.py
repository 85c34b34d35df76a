"""The socket of a role's HTTP side: bound here, or by a parent that hands it over."""

from __future__ import annotations

import errno
import socket

from hookbus.errors import HookbusError
from hookbus.processes import describe, find_port_owner

BACKLOG = 128


def parse_address(text: str) -> tuple[str, int]:
    """``"127.0.0.1:8080" → ("127.0.0.1", 8080)``; ``"[::1]:8080"`` for IPv6.

    Raises:
        ValueError: It is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not host.isprintable() or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"expected HOST:PORT such as 127.0.0.1:8080, got {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen; port 0 takes a free one.

    Raises:
        HookbusError: The port is taken (its owner is named), or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # a restart must not wait until the old connections are forgotten
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as e:
        listener.close()
        raise _explain(host, port, e) from e
    return listener


def _explain(host: str, port: int, error: OSError) -> HookbusError:
    if error.errno != errno.EADDRINUSE:
        return HookbusError(f"cannot listen on {host}:{port}: {error.strerror or error}")
    owner = find_port_owner(port)
    return HookbusError(
        f"port {port} on {host} is taken by {describe(owner) if owner else 'another process'}: "
        "stop it, or choose another port"
    )
