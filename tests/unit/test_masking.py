"""What is left of a text that quotes a secret (R28): to the character."""

from __future__ import annotations

import json

import pytest

from hookbus.dispatch.masking import masked_record
from hookbus.models import PluginRecord

SECRET = 'ä/b~c\n"d"'


def told(text: str, *secrets: object) -> str | None:
    """What a record's reason becomes."""
    record = PluginRecord(
        plugin="a",
        hook="h",
        version="1.0.0",
        phase="validate",
        round=1,
        attempt=1,
        mode="enforce",
        verdict="block",
        failure=None,
        resolution="enforced",
        code=None,
        reason=text,
        ms=0.0,
        mutated=False,
        pointers=(),
        patch_hash=None,
        notes=(),
        annotations={},
    )
    return masked_record(record, secrets).reason


@pytest.mark.parametrize(
    "quoted",
    [
        SECRET,
        repr(SECRET)[1:-1],
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        'ä~1b~0c\n"d"',
    ],
)
def test_nothing_is_left_of_a_secret_however_it_is_quoted(quoted: str) -> None:
    assert told(f"<{quoted}>", SECRET) == "<[masked]>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("is s3cre…", "is [masked]…"),
        ("is s3c…", "is [masked]…"),
        ("is s3…", "is s3…"),
        ("is s3cret-word…", "is [masked]…"),
        ("'s3cre…' is not a verdict", "'[masked]…' is not a verdict"),
        ("s3cre", "s3cre"),
        ("…s3cre", "…s3cre"),
        ("is s3cre… and s3cret…", "is [masked]… and [masked]…"),
    ],
)
def test_where_a_text_was_cut_the_beginning_of_a_secret_is_blotted(
    text: str, expected: str
) -> None:
    assert told(text, "s3cret-word") == expected


def test_of_several_secrets_the_longest_beginning_counts() -> None:
    assert told("is abcdef…", "defghi", "abcdefghi") == "is [masked]…"


def test_keys_below_a_secret_field_are_secret() -> None:
    assert told("bob@corp and 4711", {"bob@corp": [4711, True, None]}) == "[masked] and [masked]"
