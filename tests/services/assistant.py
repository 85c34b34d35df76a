"""The assistant's processes for tests, and what is asked of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.integration.commands import PATIENCE, Process, eventually, running

UVICORN = [sys.executable, "-m", "uvicorn", "services.assistant.app:app", "--port"]
#: FastStream logs to stdout, the rest to stderr: a test wants to see both in one file.
LOGGED = ["sh", "-c", 'exec "$0" "$@" >&2']
FASTSTREAM = [*LOGGED, sys.executable, "-m", "faststream", "run", "services.assistant.inbox:app"]


class Assistant:
    """A running server, and a client for it that may be used by many threads."""

    def __init__(self, process: Process, http: httpx.Client) -> None:
        self.process = process
        self.http = http

    def post(self, text: str, **headers: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post("/messages", json={"text": text}, headers=names)

    def ask(self, text: str, **headers: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.post(text, **headers).json()
        return answer

    def log(self) -> str:
        return self.process.errors.read_text()


@contextmanager
def serving(folder: Path, nats_url: str, **environ: str) -> Iterator[Assistant]:
    """Run the assistant on a free port."""
    folder.mkdir(exist_ok=True)
    with running([*UVICORN, "0"], folder, HOOKBUS_NATS_URL=nats_url, **environ) as process:
        found = eventually(lambda: re.search(r"http://[\d.:]+", process.errors.read_text()))
        with httpx.Client(base_url=found[0], timeout=PATIENCE, trust_env=False) as http:
            yield Assistant(process, http)
