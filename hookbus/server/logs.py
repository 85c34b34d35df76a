"""What roles log, to stderr: lines for people, or one JSON object a line.

A record's ``extra`` are the line's fields: ``decision_id`` and ``trace_id`` where it is about a
decision.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from hookbus.log_line import LogLine
from hookbus.printable import clean

#: By the name that an operator gives them.
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_logs(*, as_json: bool, level: int = logging.INFO) -> None:
    """Send every logger's records to stderr; replaces what was configured before."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.stdlib.ExtraAdder(),
        _word_alone,
    ]
    renderer: Processor
    if as_json:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    else:
        shared.append(_cleaned)
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=_traceback
        )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # their own lines say nothing about the bus, and would be most of it at debug
    for other in ("asyncio", "nats", "faststream", "urllib3"):
        logging.getLogger(other).setLevel(max(level, logging.WARNING))
    # its warnings are of requests that are none, as many as anybody cares to send
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def _word_alone(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Its fields are the record's extra, and would stand there twice."""
    message = event["_record"].msg
    if isinstance(message, LogLine):
        event["event"] = message.word
    return event


def _cleaned(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """A line may quote what came over the bus, and a terminal obeys what is in a text."""
    return {key: clean(text) if isinstance(text, str) else text for key, text in event.items()}


def _traceback(output: TextIO, exc_info: ExcInfo) -> None:
    written = io.StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    output.write("\n".join(map(clean, written.getvalue().splitlines())))
