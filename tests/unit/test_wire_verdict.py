"""Replies, checked before they are believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookbus.wire.verdict import Answer, Dropped, Expected, Extend, verify_reply

EXPECTED = Expected("a", "call-1", 2, 10_000)
HONEST = {"v": 1, "call": "call-1", "attempt": 2, "plugin": "a", "verdict": "continue"}


def verify(headers: dict[str, str] | None = None, **members: Any) -> Answer | Extend | Dropped:
    said = {k: v for k, v in {**HONEST, **members}.items() if v is not None}
    return verify_reply(json.dumps(said).encode(), headers, EXPECTED)


def failure_of(answer: object) -> str | None:
    assert isinstance(answer, Answer)
    return answer.failure


def test_an_honest_continue_is_one() -> None:
    assert verify() == Answer(verdict="continue")


def test_unknown_members_are_ignored() -> None:
    assert verify(future={"x": 1}) == Answer(verdict="continue")


def test_a_block_is_cut_to_what_may_be_recorded() -> None:
    answer = verify(
        verdict="block", reason="r" * 2_000, message="m" * 2_000, code="c" * 100, version="1" * 100
    )

    assert isinstance(answer, Answer)
    assert [len(text or "") for text in (answer.reason, answer.message, answer.code)] == [
        1_000,
        1_000,
        64,
    ]


@pytest.mark.parametrize(("kind", "value"), [("patch", []), ("merge", None), ("data", [1])])
def test_an_intercept_names_its_one_change(kind: str, value: object) -> None:
    body = json.dumps({**HONEST, "verdict": "intercept", kind: value}).encode()

    answer = verify_reply(body, None, EXPECTED)

    assert isinstance(answer, Answer)
    assert answer.change == (kind, value)


def test_a_null_beside_a_change_is_a_second_change() -> None:
    body = json.dumps({**HONEST, "verdict": "intercept", "patch": [], "data": None}).encode()

    assert failure_of(verify_reply(body, None, EXPECTED)) == "malformed"


def test_another_plugins_name_is_spoofed_whatever_else_is_wrong() -> None:
    assert verify(plugin="b") == Dropped("spoofed_reply")
    assert verify(plugin="b", call="other") == Dropped("spoofed_reply")
    assert verify(plugin="b", verdict="block", reason=5) == Dropped("spoofed_reply")
    assert verify(plugin="b", patch=5, warnings=5, code=5) == Dropped("spoofed_reply")


def test_a_lower_attempt_is_late_and_a_higher_one_a_mismatch() -> None:
    assert verify(attempt=1) == Dropped("late_reply")
    assert failure_of(verify(attempt=3)) == "uid_mismatch"
    assert failure_of(verify(attempt=None)) == "uid_mismatch"


def test_an_extension_is_no_answer_yet() -> None:
    assert verify(verdict="extend", extend_ms=200) == Extend(200)


def test_an_error_keeps_its_reason() -> None:
    answer = verify(verdict="error", code="overloaded", reason="64 calls in flight")

    assert (failure_of(answer), getattr(answer, "reason", None)) == (
        "overloaded",
        "64 calls in flight",
    )


def test_error_headers_are_a_service_error_whatever_the_body_says() -> None:
    answer = verify(headers={"Nats-Service-Error": "boom", "Nats-Service-Error-Code": "500"})

    assert failure_of(answer) == "service_error"
    assert "boom" in getattr(answer, "reason", "")


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"", "503", "no_responders"),
        (b"{}", "503", Dropped("status_reply")),
        (b"", "409", Dropped("status_reply")),
        (b"", "100", Dropped("status_reply")),
    ],
)
def test_a_status_is_a_sign_of_absence_only_when_it_is_an_empty_503(
    body: bytes, status: str, expected: object
) -> None:
    answer = verify_reply(body, {"Status": status}, EXPECTED)

    found = answer.failure if isinstance(answer, Answer) else answer
    assert found == expected


@pytest.mark.parametrize(
    "details",
    [{"reason": 5}, {"code": []}, {"message": {}}, {"version": 1}, {"warnings": 5, "code": 7}],
)
def test_a_block_with_nonsense_beside_it_is_still_a_block(details: dict[str, Any]) -> None:
    answer = verify(verdict="block", **details)

    assert isinstance(answer, Answer)
    assert answer.verdict == "block"
    assert answer.reason == "blocked without explanation"


@pytest.mark.parametrize(
    "identity", [{"v": 2}, {"call": None}, {"call": "other"}, {"attempt": 5}, {"attempt": "2"}]
)
def test_a_block_that_is_not_for_this_call_does_not_count(identity: dict[str, Any]) -> None:
    answer = verify(verdict="block", reason=5, **identity)

    assert failure_of(answer) in ("malformed", "uid_mismatch")


def test_a_continue_with_nonsense_beside_it_is_malformed() -> None:
    assert failure_of(verify(code=5)) == "malformed"


def test_a_reply_is_measured_before_it_is_decoded() -> None:
    answer = verify_reply(b"x" * 10_001, None, EXPECTED)

    assert failure_of(answer) == "reply_too_large"
    assert getattr(answer, "reason", None) == "reply of 10001 bytes, at most 10000"


def test_of_a_repeated_member_the_last_counts() -> None:
    body = json.dumps(HONEST).replace('"verdict"', '"verdict":"block","verdict"').encode()

    assert verify_reply(body, None, EXPECTED) == Answer(verdict="continue")


def test_an_unknown_word_is_cut() -> None:
    answer = verify(verdict="x" * 500)

    assert failure_of(answer) == "unknown_verdict"
    assert len(getattr(answer, "reason", "")) < 150
