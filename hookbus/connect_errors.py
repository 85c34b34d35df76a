"""Why a connection to the broker cannot be made, in one line each. Pure."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from hookbus.config.connection import without_password
from hookbus.errors import ConnectFailed, ConnectRefused, SubscriptionDenied

#: Options that say who we are.
_WHO = frozenset(("seed_of", "user", "token", "user_credentials", "nkeys_seed"))
#: What our client says of a server without TLS where the URL or a certificate asks for it.
NO_TLS = "TLS was asked for, and the server has none"


def connect_failed(
    url: str, cause: Exception, timeout: float, options: Mapping[str, Any]
) -> ConnectFailed:
    """Say why there is no connection to *url* with nats-py's *options*, and what to do.

    A password in *url* is not said.
    """
    is_anonymous = "@" not in url and _WHO.isdisjoint(options)
    url = without_password(url)
    if _is_refused_credential(cause):
        words = words_of(cause)
        if is_anonymous:
            return ConnectRefused(f"{url} wants credentials ({words}); {_NO_CREDENTIALS}")
        return ConnectRefused(f"{url} refused the credentials ({words}); {_CREDENTIALS}")
    if isinstance(cause, ssl.SSLError):
        return ConnectRefused(f"{url}: {_tls_words(cause)}")
    words, next_ = words_of(cause), "start one with 'hookbus up', or set HOOKBUS_NATS_URL"
    if words == NO_TLS:
        next_ = "switch it on in the server, or use nats:// without HOOKBUS_TLS_CA and _CERT"
    elif isinstance(cause, TimeoutError):
        next_ = "if something listens there, it is no NATS server: set HOOKBUS_NATS_URL"
    return ConnectFailed(f"no connection to {url} within {timeout:g} s: {words}; {next_}")


def subscription_denied(url: str, refused: Iterable[str]) -> SubscriptionDenied:
    """Say on which subjects the broker's permissions refuse to listen."""
    named = ", ".join(map(repr, dict.fromkeys(refused)))
    return SubscriptionDenied(
        f"{url}: the broker's permissions refuse the subscription to {named};"
        " check whose HOOKBUS_CREDS these are"
    )


def is_hopeless(error: Exception) -> bool:
    """Tell whether only a person can mend it: refused credentials, or a refused certificate."""
    return _is_refused_credential(error) or isinstance(error, ssl.SSLError)


def words_of(error: Exception) -> str:
    """Say what happened, as far as the library knows it."""
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case TimeoutError():
            return "no answer"
        case socket.gaierror():
            return "the host is not known"
    return str(error).removeprefix("nats: ") or repr(error)


_NO_CREDENTIALS = "set HOOKBUS_CREDS to a file that 'hookbus credentials create' made"
_CREDENTIALS = (
    "check HOOKBUS_CREDS: 'hookbus credentials' lists who is known, and a nats-server knows it"
    " after a reload"
)


def _is_refused_credential(error: Exception) -> bool:
    """Tell whether the server says so: an unknown key, or none where one is wanted."""
    return "authorization violation" in str(error).lower()


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = str(error.verify_message).rstrip(".")
        return (
            f"the server's certificate is refused (certificate verify failed: {reason});"
            f" {_certificate_step(reason)}"
        )
    reason = (error.reason or str(error)).lower().replace("_", " ")
    return f"TLS failed ({reason}); check HOOKBUS_TLS_CERT and HOOKBUS_TLS_KEY"


def _certificate_step(reason: str) -> str:
    """What to do, by OpenSSL's words."""
    if "expired" in reason:
        return "renew it on the server; if it should be valid still, set this computer's clock"
    if "not yet valid" in reason:
        return "set this computer's clock, or wait until it is valid"
    if "mismatch" in reason or "not valid for" in reason:
        return "use a name in the URL that stands in the certificate"
    return "set HOOKBUS_TLS_CA to the PEM file of the authority that signed it"
