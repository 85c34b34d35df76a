"""Which signals are exported, and where: the standard ``OTEL_*`` variables. Pure.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

Signal = Literal["traces", "metrics"]
Exporter = Literal["otlp", "console"]

INSTALL: Final = "pip install 'hookbus[otel]'"
DEFAULT_ENDPOINT: Final = "http://localhost:4318"  # OpenTelemetry's own, for OTLP over HTTP

_EXPORTERS: Final[Mapping[str, Exporter]] = {"otlp": "otlp", "console": "console"}
_PROTOCOL: Final = "http/protobuf"


class Wanted(msgspec.Struct, frozen=True):
    """What the variables ask for one signal.

    Attributes:
        exporter: None exports nothing.
        endpoint: where to, as a person may see it: without what could be a password in it.
        problem: why nothing is exported though something was asked for; one line, or "".
    """

    exporter: Exporter | None = None
    endpoint: str = ""
    problem: str = ""


def wanted(signal: Signal, environ: Mapping[str, str]) -> Wanted:
    """Read what *environ* wants of *signal*: without an endpoint or an exporter, nothing."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Wanted()
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    endpoint = _said(environ, signal, "ENDPOINT")
    named = environ.get(variable, "").strip().lower() or ("otlp" if endpoint else "none")
    if named == "none":
        return Wanted()
    exporter = _EXPORTERS.get(named)
    if exporter is None:
        expected = ", ".join(_EXPORTERS)
        return _nothing(signal, f"{variable}={named!r}; expected one of {expected}, none")
    if exporter == "console":
        return Wanted(exporter, "the standard output")
    return _otlp(signal, environ, endpoint or DEFAULT_ENDPOINT)


def _otlp(signal: Signal, environ: Mapping[str, str], endpoint: str) -> Wanted:
    protocol = _said(environ, signal, "PROTOCOL") or _PROTOCOL
    if protocol != _PROTOCOL:
        found = f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r}; expected {_PROTOCOL!r}"
        return _nothing(signal, found)
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or parts.scheme not in ("http", "https"):
        # not quoted: a token may stand in it
        return _nothing(signal, "OTEL_EXPORTER_OTLP_ENDPOINT is no URL; expected http://HOST:4318")
    shown = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    return Wanted("otlp", shown)


def _said(environ: Mapping[str, str], signal: Signal, what: str) -> str:
    """The signal's own variable wins over the one for all signals."""
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", "").strip()
    return own or environ.get(f"OTEL_EXPORTER_OTLP_{what}", "").strip()


def _nothing(signal: Signal, problem: str) -> Wanted:
    return Wanted(problem=f"{problem}; no {signal} are exported")
