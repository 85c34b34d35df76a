"""A payload from the command line: JSON, a file, or stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from hookbus.cli.errors import UsageError


def read_payload(text: str, option: str = "--data") -> Any:
    """Decode what ``--data`` says: JSON itself, ``@FILE`` or ``-`` for stdin.

    Raises:
        UsageError: It cannot be read, or is no JSON.
    """
    where = option
    try:
        if text == "-":
            where = f"{option}: stdin"
            raw = sys.stdin.buffer.read()
        elif text.startswith("@"):
            where = f"{option}: {text[1:]!r}"
            raw = Path(text[1:]).read_bytes()
        else:
            raw = text.encode()
        return msgspec.json.decode(raw)
    except OSError as e:
        raise UsageError(f"{where}: cannot be read: {e.strerror}") from e
    except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
        raise UsageError(f'{where}: expected JSON such as \'{{"text": "hi"}}\': {e}') from e
