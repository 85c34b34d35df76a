"""What a collector answers costs no memory, and what went wrong is known by its status."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from hookbus.otel.posts import MAX_ANSWER, Posts

URL = "http://user:hunter2@127.0.0.1:4318/v1/traces"


class Answer(io.BytesIO):
    """Bytes without end, unless it is told how many."""

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self.given = 0
        self._length = length

    def read(self, size: int | None = None, **options: Any) -> bytes:
        assert self.given < 10 * MAX_ANSWER, "it is read without end"
        left = MAX_ANSWER if self._length is None else self._length - self.given
        given = min(MAX_ANSWER if size is None else size, left)
        self.given += given
        return b"x" * given

    def release_conn(self) -> None:
        pass


class Collector(BaseAdapter):
    def __init__(self, status: int = 200, raw: Answer | None = None, **headers: str) -> None:
        super().__init__()
        self._status = status
        self._headers = headers
        self.raw = raw or Answer(0)
        self.error: Exception | None = None

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        if self.error is not None:
            raise self.error
        answer = requests.Response()
        answer.request, answer.url = request, URL
        answer.status_code, answer.raw = self._status, self.raw
        answer.headers.update(self._headers)
        return answer

    def close(self) -> None:
        pass


def posts(collector: Collector) -> Posts:
    found = Posts()
    found.mount("http://", collector)
    return found


@pytest.mark.parametrize("length", [{}, {"Content-Length": str(10**12)}, {"Content-Length": "-1"}])
def test_an_answer_without_end_is_not_read(length: dict[str, str]) -> None:
    collector = Collector(200, Answer(), **length)

    answer = posts(collector).request("POST", URL, data=b"")

    assert (answer.status_code, collector.raw.given) == (200, 0)
    assert collector.raw.closed


def test_a_short_answer_is_read_so_that_its_connection_can_be_used_again() -> None:
    collector = Collector(200, Answer(12), **{"Content-Length": "12"})

    posts(collector).request("POST", URL, data=b"")

    assert collector.raw.given == 12


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "/v1/traces"),
        ("http://127.0.0.1/v1/traces/v1/traces?key=hunter2", "/v1/traces/v1/traces"),
        ("http://127.0.0.1/hunter2hunter2/v1/traces", "/…/v1/traces"),
    ],
)
def test_what_failed_is_known_by_its_status_and_path_without_credentials(
    url: str, shown: str
) -> None:
    found = posts(Collector(404))

    found.request("POST", url, data=b"")

    assert found.failure == f"it answers 404 for {shown}"


def test_what_never_arrived_is_known_by_its_class_until_a_post_is_well() -> None:
    collector = Collector()
    collector.error = requests.ConnectionError("to http://user:hunter2@127.0.0.1")
    found = posts(collector)

    with pytest.raises(requests.ConnectionError):
        found.request("POST", URL, data=b"")
    assert found.failure == "ConnectionError for /v1/traces"
    collector.error = None
    found.request("POST", URL, data=b"")

    assert found.failure == ""
