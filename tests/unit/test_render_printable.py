"""Foreign text is one line of printable characters before it reaches a terminal."""

import pytest

from hookbus.cli.printable import clean, compact, shorten, shorten_middle


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain [bold]text[/]", "plain [bold]text[/]"),
        ("\x1b]0;title\x07\x1b[31mred", "]0;title[31mred"),
        ("\x9b31mred\x7f\x00", "31mred"),
        ("one\r\ntwo\tthree\u2028four\x85five", "one  two three four five"),
        ("\u202egnp.exe\u2069\u200f", "gnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("lone \ud800 surrogate, private \ue000", "lone  surrogate, private "),
        ("grüße 漢字 🎉", "grüße 漢字 🎉"),
    ],
)
def test_only_printable_characters_are_left(text, expected):
    assert clean(text) == expected


def test_a_short_text_stays_whole():
    assert shorten("four", 4) == "four"
    assert shorten_middle("four", 4) == "four"


def test_a_long_text_ends_in_an_ellipsis():
    assert shorten("one two three", 9) == "one two…"


def test_a_text_shortened_in_the_middle_keeps_both_ends():
    assert shorten_middle("-----BEGIN KEY----- secret -----END KEY-----", 16) == "-----BEGIN…-----"


def test_an_enormous_text_is_shortened_from_both_ends_too():
    assert shorten_middle("a" * 1_000_000 + "z", 10) == "aaaaaa…aaz"


def test_a_text_stands_for_itself_and_other_values_are_json():
    assert compact("x") == "x"
    assert compact({"a": [1, None, "ü"]}) == '{"a":[1,null,"ü"]}'
