"""The SDK for a process of ours, a role or a plugin, by the standard ``OTEL_*`` variables."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from hookbus.otel.environment import INSTALL, problems, wanted
from hookbus.otel.guard import raised
from hookbus.otel.losses import Losses, Stop
from hookbus.otel.variables import Signal
from hookbus.telemetry import Tracing

API: Final = "opentelemetry.trace"

log = logging.getLogger(__name__)


@contextlib.contextmanager
def telemetry(
    service: str, version: str, environ: Mapping[str, str] = os.environ
) -> Iterator[Losses]:
    """Export what this process traces for as long as the block lasts; leave it within 1.75 s.

    *service* is its ``service.name``, unless a variable says another. Nothing is set up, and no
    thread runs, without an ``OTEL_…`` variable that says where to, or where the process has a
    tracer provider already. Whatever is wrong is one line of the log: nothing ends because of it.
    What else the process exports is ended at the same time, where it asked for that: what was lost
    is one line.
    """
    losses = Losses()
    stop: Stop | None = start("traces", service, version, environ)
    if stop is not None:
        losses.ask(stop)
    try:
        yield losses
    finally:
        losses.tell()


def start(signal: Signal, service: str, version: str, environ: Mapping[str, str]) -> Any:
    """Set one signal up: what ``start`` of ``hookbus.otel.<signal>`` returns.

    None where nothing is wanted, the SDK is not installed, or it cannot be used.
    """
    for line in problems(signal, environ):
        log.warning("%s", line)
    what = wanted(signal, environ)
    if what.exporter is None:
        return None
    try:
        module = importlib.import_module(f"hookbus.otel.{signal}")
        # the SDK logs 20 lines in half a minute about a collector that is not there
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        return module.start(what, service, version, environ)
    except ImportError as e:
        log.warning(
            "no_telemetry: %s cannot be exported to %s: %s; %s", signal, what.endpoint, e, INSTALL
        )
    except Exception as e:  # a variable that the SDK cannot use, some while it is imported
        log.warning("no_telemetry: %s are not exported: %s", signal, str(e) or raised(e))
    return None


def dispatch_tracing() -> Tracing | None:
    """What writes a dispatcher's spans; None where this process has no provider of the SDK's."""
    try:
        if traced_api() is None:
            return None
        found: Tracing | None = importlib.import_module("hookbus.otel.dispatches").dispatch_spans()
    except ImportError:  # a provider of somebody else's making
        return None
    except Exception as e:  # of theirs, too: a dispatcher decides without any
        log.warning("no_telemetry: dispatches are not traced: %s", raised(e))
        return None
    return found


def traced_api() -> ModuleType | None:
    """The module ``opentelemetry.trace``, where this process set a tracer provider; else None.

    Where nobody imported it nobody set one, and then it is not imported for us either.
    """
    api = sys.modules.get(API)
    if api is None or isinstance(api.get_tracer_provider(), api.ProxyTracerProvider):
        return None
    return api
