"""How exporters post to a collector: no answer is read without end, and what failed is known."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from hookbus.otel.losses import ANSWERS
from hookbus.otel.variables import Signal

MAX_ANSWER: Final = 64 * 1024  # bytes of an answer that are read; OTLP's own are a few
MAX_PART: Final = 12  # characters of a part of a path that is shown; a longer one may be a token


class Posts(requests.Session):
    """A session for the SDK's exporters.

    Attributes:
        failure: what came of the last post, as a person may see it:
            ``"it answers 404 for /v1/traces"``; "" if that was well, or there was none.
    """

    failure: str = ""

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Post; the exporters look at an answer's status only."""
        try:
            answer = super().request(method, url, *args, **{**options, "stream": True})
        except Exception as e:
            self.failure = f"{type(e).__name__} for {shown_path(url)}"
            raise
        refused = f"{ANSWERS} {answer.status_code} for {shown_path(url)}"
        self.failure = "" if answer.ok else refused
        if _is_short(answer):  # and read, its connection can be used again
            with contextlib.suppress(Exception):
                answer.raw.read(MAX_ANSWER, decode_content=False)
        answer.close()
        return answer


def session_for(signal: Signal, posts: Posts, environ: Mapping[str, str]) -> Posts | None:
    """Return *posts*; None where a variable names the SDK a maker of sessions that log in."""
    variable = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_{}CREDENTIAL_PROVIDER"
    own, general = variable.format(f"{signal.upper()}_"), variable.format("")
    return None if environ.get(own) or environ.get(general) else posts


def shown_path(url: str) -> str:
    """``"/v1/traces"`` of a URL; never what could be a password in it."""
    path = urlsplit(url).path
    return "/".join(part if len(part) <= MAX_PART else "…" for part in path.split("/"))


def _is_short(answer: requests.Response) -> bool:
    length = answer.headers.get("Content-Length", "")
    return length.isdecimal() and int(length) <= MAX_ANSWER
