"""Where the broker is and who we are there, from the environment; standard library only."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hookbus.config.credentials import SeedSource, read_credentials
from hookbus.errors import InvalidOption, SettingsError
from hookbus.subjects import ANONYMOUS, NAME, is_name

DEFAULT_NATS_URL: Final = "nats://127.0.0.1:4222"

_SCHEMES: Final = ("nats", "tls")
_CREDENTIALS: Final = re.compile(r"(?:(?<=//)|^)[^/]*@")


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the broker.

    Attributes:
        principal: who we are; a plugin's is its name. With authentication the broker binds it.
        creds: a file with principal, seed and inbox prefix; *principal* is then the file's.
        kind: what the credentials are for; None without.
        tls_ca, tls_cert, tls_key: PEM files; certificate and key go together.
    """

    nats_url: str = DEFAULT_NATS_URL
    principal: str = ANONYMOUS
    creds: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    kind: str | None = None


def connection_from(environ: Mapping[str, str] | None = None) -> Connection:
    """Read the ``HOOKBUS_…`` variables of a connection; an empty one counts as not set.

    Raises:
        SettingsError: If the URL or the principal is none, certificate and key are not both
            given, or the credentials cannot be used or are another principal's.
    """
    environ = os.environ if environ is None else environ
    principal = environ.get("HOOKBUS_PRINCIPAL") or ANONYMOUS
    if not is_name(principal):
        raise SettingsError(f"HOOKBUS_PRINCIPAL={principal!r}: expected a name like {NAME.pattern}")
    creds, kind = _path(environ, "HOOKBUS_CREDS"), None
    if creds is not None:
        principal, kind = identify(creds, principal, "HOOKBUS_PRINCIPAL", "HOOKBUS_CREDS")
    certificate, key = _path(environ, "HOOKBUS_TLS_CERT"), _path(environ, "HOOKBUS_TLS_KEY")
    if (certificate is None) != (key is None):
        given, wanted = ("CERT", "KEY") if certificate else ("KEY", "CERT")
        raise SettingsError(f"HOOKBUS_TLS_{given} is set without HOOKBUS_TLS_{wanted}; set both")
    url = environ.get("HOOKBUS_NATS_URL") or DEFAULT_NATS_URL
    try:
        check_url(url, "HOOKBUS_NATS_URL")
    except InvalidOption as e:
        raise SettingsError(str(e)) from e
    return Connection(
        nats_url=url,
        principal=principal,
        creds=creds,
        tls_ca=_path(environ, "HOOKBUS_TLS_CA"),
        tls_cert=certificate,
        tls_key=key,
        kind=kind,
    )


def connection_to(
    url: str | None,
    principal: str = ANONYMOUS,
    environ: Mapping[str, str] | None = None,
    **files: str | Path | None,
) -> Connection:
    """Put together what a program says itself: *url*, *principal*, and ``creds``, ``tls_…`` files.

    Without *url* the environment says what the program does not; with one it says nothing, so that
    a program with two buses never takes one's credentials to the other.

    Raises:
        TypeError, InvalidOption: An argument cannot be.
        SettingsError: As `connection_from`; or credentials and principal are not of one.
    """
    said = connection_from(environ) if url is None else Connection(url)
    check_url(said.nats_url)
    paths: dict[str, Any] = {n: Path(file) for n, file in files.items() if file is not None}
    if ("tls_cert" in paths) != ("tls_key" in paths):
        raise InvalidOption("tls_cert, tls_key: expected both or none")
    said = replace(said, **paths)
    if said.creds is not None:
        principal, kind = identify(said.creds, principal, "principal", "creds")
        return replace(said, principal=principal, kind=kind)
    return said if principal == ANONYMOUS else replace(said, principal=principal)


def identify(creds: Path, principal: str, said: str, origin: str) -> tuple[str, str]:
    """Read who *creds* are of, and of what kind; *principal* may be anonymous, or must agree.

    *said* and *origin* are how the two were given: variables, or arguments.

    Raises:
        SettingsError: They cannot be used, or are another principal's.
    """
    found = read_credentials(creds)
    if principal not in (ANONYMOUS, found.principal):
        raise SettingsError(
            f"{said} is {principal!r}, and {origin}={str(creds)!r} is of {found.principal!r}:"
            f" expected one and the same; leave {said} out"
        )
    return found.principal, found.kind


def nats_options(connection: Connection) -> dict[str, Any]:
    """What every connection to the broker is opened with: the one way from *connection* to NATS.

    Goes as ``options`` to `hookbus.transport.NatsTransport.connect`.

    Raises:
        SettingsError: A file cannot be used.
    """
    options: dict[str, Any] = {}
    if (context := tls_context(connection)) is not None:
        options["tls"] = context
    if connection.creds is not None:
        options["seed_of"] = SeedSource(connection.creds)
    return options


def tls_context(connection: Connection) -> ssl.SSLContext | None:
    """Make the TLS that the files of *connection* describe; without any it is None.

    None leaves it to the URL: ``tls://`` is then checked against the system's authorities.

    Raises:
        SettingsError: A file cannot be used.
    """
    if connection.tls_ca is None and connection.tls_cert is None:
        return None
    try:
        context = ssl.create_default_context(cafile=connection.tls_ca)
        if connection.tls_cert is not None:
            context.load_cert_chain(connection.tls_cert, connection.tls_key)
    except OSError as e:
        files = [connection.tls_ca, connection.tls_cert, connection.tls_key]
        named = ", ".join(repr(str(file)) for file in files if file is not None)
        reason = e.strerror or e
        raise SettingsError(f"HOOKBUS_TLS_…: expected PEM files, got {named}: {reason}") from e
    return context


def check_url(url: object, name: str = "url") -> None:
    """Accept ``nats://host:port``, ``tls://host:port`` or ``host:port``; several with commas.

    Raises:
        TypeError: It is no text.
        InvalidOption: It is none of these; the message leaves out a password.
    """
    if not isinstance(url, str):
        raise TypeError(f"{name}: expected a text such as {DEFAULT_NATS_URL!r}, got {url!r}")
    for server in url.split(","):
        if not _is_server(server.strip()):
            expected = "nats://host:port or tls://host:port"
            raise InvalidOption(f"{name}: expected {expected}, got {without_password(server)!r}")


def without_password(url: str) -> str:
    """Give what may be shown: ``"nats://chat:secret@a:1, b" → "nats://a:1,b"``"""
    return ",".join(_CREDENTIALS.sub("", server.strip()) for server in url.split(","))


def _is_server(server: str) -> bool:
    try:
        parts = urlsplit(server if "://" in server else f"nats://{server}")
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


def default_data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Give ``$XDG_STATE_HOME/hookbus``, or ``~/.local/state/hookbus``."""
    environ = os.environ if environ is None else environ
    state_home = Path(environ.get("XDG_STATE_HOME") or "")
    # the XDG base directory specification: a relative path is invalid and ignored
    if not state_home.is_absolute():
        home = environ.get("HOME")
        state_home = (Path(home) if home else Path.home()) / ".local" / "state"
    return state_home / "hookbus"


def _path(environ: Mapping[str, str], variable: str) -> Path | None:
    text = environ.get(variable)
    return Path(text) if text else None
