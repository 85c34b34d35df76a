"""Why a connection to the broker cannot be made, in one line each. Pure."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from hookbus.errors import ConnectFailed, ConnectRefused, SubscriptionDenied


def connect_failed(url: str, cause: Exception, timeout: float) -> ConnectFailed:
    """Say why there is no connection to *url*, which has no password in it, and what to do."""
    if _is_refused_credential(cause):
        return ConnectRefused(f"{url} refused the credentials ({words_of(cause)}); {_CREDENTIALS}")
    if isinstance(cause, ssl.SSLError):
        return ConnectRefused(f"{url}: {_tls_words(cause)}")
    return ConnectFailed(
        f"no connection to {url} within {timeout:g} s: {words_of(cause)}; "
        "start one with 'hookbus up', or set HOOKBUS_NATS_URL"
    )


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
    return str(error).removeprefix("nats: ") or repr(error)


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
            " check HOOKBUS_TLS_CA, the host's name in the URL and the certificate's dates"
        )
    reason = (error.reason or str(error)).lower().replace("_", " ")
    return f"TLS failed ({reason}); check HOOKBUS_TLS_CERT and HOOKBUS_TLS_KEY"
