"""Which signals are exported, and where: the standard ``OTEL_*`` variables.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from hookbus.otel.variables import Signal, exporter_variables, unusable

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
    _, endpoint = _said(environ, signal, "ENDPOINT")
    named = environ.get(variable, "").strip().lower() or ("otlp" if endpoint else "none")
    if named == "none":
        return Wanted()
    exporter = _EXPORTERS.get(named)
    if exporter is None:
        expected = ", ".join(_EXPORTERS)
        return _nothing(signal, variable, f"={named!r}; expected one of {expected}, none")
    if exporter == "console":
        return Wanted(exporter, "the standard output")
    return _otlp(signal, environ, endpoint or DEFAULT_ENDPOINT)


def problems(signal: Signal, environ: Mapping[str, str]) -> Sequence[str]:
    """Return the lines to log on *signal*'s variables; metrics' lack what was said of traces."""
    found = _problems(signal, environ)
    said = _problems("traces", environ) if signal == "metrics" else ()
    return [line for line in found if line not in said]


def _problems(signal: Signal, environ: Mapping[str, str]) -> Sequence[str]:
    what = wanted(signal, environ)
    if what.problem:
        return [f"no_telemetry: {what.problem}"]
    if what.exporter is None:
        return ()
    return [f"otel_variable_unusable: {line}" for line in unusable(signal, environ)]


def _otlp(signal: Signal, environ: Mapping[str, str], endpoint: str) -> Wanted:
    variable, protocol = _said(environ, signal, "PROTOCOL")
    if protocol not in ("", _PROTOCOL):
        return _nothing(signal, variable, f"={protocol!r}; expected {_PROTOCOL!r}")
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or parts.scheme not in ("http", "https"):
        variable, _ = _said(environ, signal, "ENDPOINT")
        # not quoted: a token may stand in it
        return _nothing(signal, variable, " is no URL; expected http://HOST:4318")
    shown = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    return Wanted("otlp", shown)


def _said(environ: Mapping[str, str], signal: Signal, what: str) -> tuple[str, str]:
    """Return a variable's name and value: the signal's own wins over the one for all signals."""
    for name in exporter_variables(signal, what):
        if value := environ.get(name, "").strip():
            return name, value
    return "", ""


def _nothing(signal: Signal, variable: str, found: str) -> Wanted:
    own = signal.upper() in variable
    lost = f"no {signal} are exported" if own else "nothing is exported by it"
    return Wanted(problem=f"{variable}{found}; {lost}")
