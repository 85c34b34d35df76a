"""Where in a TOML file a key stands."""

from __future__ import annotations

import pytest

from hookbus.config.lines import line_of

TEXT = '''\
# a comment
timeout_ms = 900
breaker.failures = 0

[types."chat.sent"]
conflict = "block"
secret = [
  "/a",
  "no pointer",
]
note = """
breaker = 1
"""

[plugins.guard.hooks.tool-invoked]
when = ["a"]
[plugins.guard.config]
rules = {x = 1, y = {z = 2}}

[[many]]
a = 1
[[many]]
a = 2
'''


@pytest.mark.parametrize(
    ("at", "line"),
    [
        ("timeout_ms", 2),
        ("breaker.failures", 3),
        ("breaker", 3),
        ('types."chat.sent"', 5),
        ('types."chat.sent".conflict', 6),
        ('types."chat.sent".secret[1]', 7),
        ('types."chat.sent".schema', 5),  # missing: where it would stand
        ("plugins.guard.hooks.tool-invoked.type", 15),
        ("plugins.guard.hooks.tool-invoked.when[0]", 16),
        ("plugins.guard.config.rules.y.z", 18),
        ("many[1].a", 23),
        ("plugins.guard", 15),
        ("unknown", None),
    ],
)
def test_a_key_is_found_where_it_stands_or_would_stand(at: str, line: int | None) -> None:
    assert line_of(TEXT, at) == line


def test_what_is_no_toml_has_no_lines() -> None:
    assert line_of("= 1\n" * 1000, "a") is None
