"""Labelled samples, overlaps, hostile input and configuration of redact-secrets."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from redact_checksums import is_card, is_iban
from redact_finders import FINDERS
from redact_rules import InvalidConfig, Rules, redact_text, redact_value

HERE = Path(__file__).parent
SAMPLES = [
    json.loads(line)
    for line in (HERE / "redact_samples.jsonl").read_text(encoding="utf-8").splitlines()
]
#: ``<<kind|secret>>``; ``<+>`` splits what would alarm scanners of this repository.
MARK = re.compile(r"<<([a-z-]+)\|(.*?)>>", re.DOTALL)
#: CPU seconds for 100 KB of the worst known text, all kinds on: 20 times what a laptop needs.
HOSTILE_BOUND = 2.0


def texts(label: str) -> list[str]:
    return [sample["text"] for sample in SAMPLES if sample["label"] == label]


def original(sample: str) -> str:
    return MARK.sub(r"\2", sample).replace("<+>", "")


def expected(sample: str) -> str:
    return MARK.sub(r"[redacted:\1]", sample)


def test_there_are_sixty_samples_of_each_label() -> None:
    assert len(texts("secret")) >= 60
    assert len(texts("benign")) >= 60


def test_every_kind_has_a_sample() -> None:
    kinds = {kind for sample in texts("secret") for kind, _ in MARK.findall(sample)}

    assert kinds == set(FINDERS)


@pytest.mark.parametrize("sample", texts("secret"))
def test_a_secret_is_replaced_and_nothing_else(sample: str) -> None:
    assert redact_text(original(sample), Rules())[0] == expected(sample)


@pytest.mark.parametrize("sample", texts("benign"))
def test_a_benign_look_alike_stays(sample: str) -> None:
    assert redact_text(sample, Rules()) == (sample, {})


@pytest.mark.parametrize("sample", texts("missed"))
def test_what_the_readme_calls_missed_is_still_missed(sample: str) -> None:
    assert redact_text(original(sample), Rules())[0] != expected(sample)


def test_the_readme_lists_every_missed_sample() -> None:
    rows = [
        f"| {MARK.findall(sample['text'])[0][0]} | `{original(sample['text'])}` | {sample['why']} |"
        for sample in SAMPLES
        if sample["label"] == "missed"
    ]

    assert "\n".join(rows) in (HERE.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("sample", texts("secret"))
def test_redacting_twice_changes_nothing_more(sample: str) -> None:
    once = redact_text(original(sample), Rules())[0]

    assert redact_text(once, Rules()) == (once, {})


def test_overlapping_finds_become_one_mark_of_the_first_kind() -> None:
    text = 'password="alice1@mail.test"'

    assert redact_text(text, Rules())[0] == 'password="[redacted:password]"'


def test_a_find_inside_a_longer_one_leaves_no_rest() -> None:
    header = "Authorization: Bearer ghp_" + "a1" * 18 + ".rest0123"

    assert redact_text(header, Rules())[0] == "Authorization: Bearer [redacted:api-key]"


HOSTILE = {
    "one word": "a" * 100_000,
    "digits": "4" * 100_000,
    "grouped digits": "4111 " * 20_000,
    "single digits": "4-" * 50_000,
    "mailboxes without end": "a@" * 50_000,
    "one endless domain": "a@" + "a." * 50_000,
    "local parts": "a.b-c+" * 16_666,
    "mailbox and path": "a@b.cc:" * 14_000 + "a" * 1_000,
    "token heads": "eyJaaaaaaaa." * 8_333,
    "token head runs": "eyJ" * 33_333,
    "prefixes": "sk-ant-" * 14_285,
    "prefix and underscore": ("ghp_" + "a" * 35 + "_") * 2_500,
    "key begins": "-----BEGIN PRIVATE KEY-----" * 3_703,
    "key words": "-----BEGIN " + "A " * 50_000,
    "dashes": "-" * 100_000,
    "assignments": "password=" * 11_111,
    "assignment names": "password" * 12_500,
    "dotted names": "a.token_" * 12_500,
    "quotes": "password='" * 10_000,
    "schemes": "a://b:" * 16_666,
    "url run": "http://" + ":a" * 50_000,
    "headers": "authorization: " * 6_666,
    "bearers": "bearer " * 14_285,
    "accounts": "DE89 3704 " * 10_000,
    "account run": "DE89" * 25_000,
    "spaces": " " * 100_000,
    "passwords and spaces": "password    " * 8_333,
    "wide": "🙂é漢" * 25_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_of_100_kb_is_read_within_the_bound(name: str) -> None:
    started = time.process_time()

    redact_text(HOSTILE[name], Rules())

    assert time.process_time() - started < HOSTILE_BOUND


def test_only_the_chosen_kinds_are_redacted() -> None:
    rules = Rules.from_config({"kinds": ["card"]})

    assert redact_text("a@example.com 4111111111111111", rules)[0] == (
        "a@example.com [redacted:card]"
    )


def test_an_allowed_text_stays_whatever_its_case() -> None:
    rules = Rules.from_config({"allow": ["support@example.com"]})

    assert redact_text("Support@Example.com or me@example.com", rules)[0] == (
        "Support@Example.com or [redacted:email]"
    )


@pytest.mark.parametrize(
    "config",
    [{"kind": ["card"]}, {"kinds": "card"}, {"kinds": ["cards"]}, {"allow": [1]}, {"allow": None}],
)
def test_a_wrong_configuration_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        Rules.from_config(config)


def test_the_patch_replaces_only_the_strings_that_changed_and_keeps_keys() -> None:
    args = {
        "a@example.com": "plain",
        "to/cc": [{"~": "a@example.com"}, 4111111111111111, None],
        "body": "hi",
    }

    redaction = redact_value("/args", args, Rules())

    assert redaction.patch == [
        {"op": "replace", "path": "/args/to~1cc/0/~0", "value": "[redacted:email]"}
    ]
    assert redaction.kinds == {"email": 1}


def test_nothing_found_is_an_empty_patch() -> None:
    assert redact_value("/text", "hello", Rules()).patch == []


def test_more_changes_than_a_patch_may_have_become_one_replacement() -> None:
    args = {"to": ["a@example.com"] * 257, "n": 1}

    redaction = redact_value("/args", args, Rules())

    assert redaction.patch == [
        {"op": "replace", "path": "/args", "value": {"to": ["[redacted:email]"] * 257, "n": 1}}
    ]


@pytest.mark.parametrize(
    ("digits", "valid"),
    [("4111111111111111", True), ("4111111111111112", False), ("9111111111111116", False)],
)
def test_a_card_needs_an_issuer_and_the_luhn_sum(digits: str, valid: bool) -> None:
    assert is_card(digits) is valid


@pytest.mark.parametrize(
    ("characters", "valid"),
    [
        ("DE89370400440532013000", True),
        ("DE88370400440532013000", False),
        ("DE8937040044053201300", False),
        ("XX89370400440532013000", False),
    ],
)
def test_an_iban_needs_its_country_s_length_and_sum(characters: str, valid: bool) -> None:
    assert is_iban(characters) is valid
