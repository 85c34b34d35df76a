"""Variables that the SDK reads by itself, and takes its default for without a word if it cannot.

Its own words are never shown: they quote headers, and so passwords.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

Signal = Literal["traces", "metrics"]

SAMPLER: Final = "OTEL_TRACES_SAMPLER"
SAMPLER_ARG: Final = "OTEL_TRACES_SAMPLER_ARG"
QUEUE: Final = "OTEL_BSP_MAX_QUEUE_SIZE"
BATCH: Final = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
DEFAULT_QUEUE: Final = 2048  # spans; OpenTelemetry's own
DEFAULT_BATCH: Final = 512

_HEADER: Final = re.compile(r"\s*[^\s=,;]+\s*=[^,]*")
_COMPRESSIONS: Final = ("none", "gzip", "deflate")
_OF_SHARE: Final = ("traceidratio", "parentbased_traceidratio")
_SAMPLERS: Final = (
    *("always_on", "always_off", "parentbased_always_on", "parentbased_always_off"),
    *_OF_SHARE,
)


class _Expected(NamedTuple):
    what: str
    is_met: Callable[[str], bool]
    is_secret: bool = False


def is_whole(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def _is_within(text: str, most: float) -> bool:
    try:
        return 0 <= float(text) <= most
    except ValueError:
        return False


def _are_headers(text: str) -> bool:
    return all(_HEADER.fullmatch(part) for part in text.split(",") if part.strip())


_FILE: Final = _Expected("a file that is there", lambda text: Path(text).exists())
_WHOLE: Final = _Expected("a whole number above 0", is_whole)
_SHARE: Final = _Expected("a share, 0 … 1", lambda text: _is_within(text, 1))
_OF_EXPORTERS: Final[Mapping[str, _Expected]] = {
    "HEADERS": _Expected("NAME=VALUE,NAME=VALUE", _are_headers, is_secret=True),
    "COMPRESSION": _Expected(
        f"one of {', '.join(_COMPRESSIONS)}", lambda text: text.lower() in _COMPRESSIONS
    ),
    "TIMEOUT": _Expected("a number of seconds", lambda text: _is_within(text, math.inf)),
    "CERTIFICATE": _FILE,
    "CLIENT_KEY": _FILE,
    "CLIENT_CERTIFICATE": _FILE,
}
_OF_TRACES: Final[Mapping[str, _Expected]] = {
    "OTEL_BSP_SCHEDULE_DELAY": _WHOLE,
    "OTEL_BSP_EXPORT_TIMEOUT": _WHOLE,
    QUEUE: _WHOLE,
    BATCH: _WHOLE,
    SAMPLER: _Expected(f"one of {', '.join(_SAMPLERS)}", lambda text: text.lower() in _SAMPLERS),
}


def exporter_variables(signal: Signal, what: str) -> tuple[str, str]:
    """The two variables that say *what* of an exporter; the signal's own, the first, wins."""
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", f"OTEL_EXPORTER_OTLP_{what}"


def unusable(signal: Signal, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield of each variable that has no effect what was found, and what was expected."""
    expected = dict(_OF_TRACES) if signal == "traces" else {}
    if signal == "traces" and _sampler(environ) in _OF_SHARE:
        expected[SAMPLER_ARG] = _SHARE
    for what, one in _OF_EXPORTERS.items():
        expected |= dict.fromkeys(exporter_variables(signal, what), one)
    for name, (what, is_met, is_secret) in expected.items():
        found = environ.get(name, "").strip()
        if found and not is_met(found):
            yield f"{name}{'' if is_secret else f'={found!r}'}; expected {what}"


def names_sampler(environ: Mapping[str, str]) -> bool:
    """Tell whether the variables name a sampler; for what is none the SDK would trace all."""
    name, share = _sampler(environ), environ.get(SAMPLER_ARG, "").strip()
    return name in _SAMPLERS and not (name in _OF_SHARE and share and not _SHARE.is_met(share))


def batch_size(environ: Mapping[str, str]) -> int | None:
    """Spans of one post; the SDK would refuse more than its queue holds. None leaves it to that."""
    queue = environ.get(QUEUE, "").strip() or str(DEFAULT_QUEUE)
    batch = environ.get(BATCH, "").strip() or str(DEFAULT_BATCH)
    return min(int(queue), int(batch)) if is_whole(queue) and is_whole(batch) else None


def _sampler(environ: Mapping[str, str]) -> str:
    return environ.get(SAMPLER, "").strip().lower()
