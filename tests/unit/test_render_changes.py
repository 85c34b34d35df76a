"""What differs between two payloads is shown, shortened, and never as markup or control codes."""

from hookbus.cli.changes import MAX_FIELDS, MAX_LINE, changes, compare


def shown(before, after):
    return [(path, [line.plain for line in lines]) for path, lines in changes(before, after)]


def test_only_the_fields_that_differ_are_shown():
    before = {"text": "card 4111", "user": "ana", "n": 1}
    after = {"text": "card [redacted]", "user": "ana", "n": 1.0}

    assert shown(before, after) == [("/text", ["- card 4111", "+ card [redacted]"])]


def test_an_added_and_a_removed_field_have_one_side():
    assert shown({"a": 1}, {"b": [True, None]}) == [
        ("/a", ["- 1"]),
        ("/b", ["+ [true,null]"]),
    ]


def test_a_payload_that_is_replaced_as_a_whole_is_shown():
    assert shown("old", {"new": 1}) == [("everything", ["- old", '+ {"new":1}'])]


def test_equal_payloads_have_no_changes():
    assert changes({"a": {"b": 1}}, {"a": {"b": 1.0}}) == []


def test_deep_fields_are_named_by_their_pointer():
    before = {"args": {"headers": {"a/b": "x"}}}
    after = {"args": {"headers": {"a/b": "y"}}}

    assert shown(before, after) == [("/args/headers/a~1b", ["- x", "+ y"])]


def test_a_long_text_is_shortened_around_its_changes():
    filler = "nothing to see here " * 40

    ((_, (old, new)),) = shown(
        {"text": f"{filler}key one {filler}key two {filler}"},
        {"text": f"{filler}key *** {filler}key ### {filler}"},
    )

    assert (
        old
        == "- …to see here key one nothing to see here …to see here key two nothing to see here …"
    )
    assert (
        new
        == "+ …to see here key *** nothing to see here …to see here key ### nothing to see here …"
    )


def test_a_long_text_that_is_all_new_keeps_both_ends():
    ((_, (old, new)),) = shown({"text": "a" * 5_000 + "z"}, {"text": "b"})

    assert old.startswith("- aaa")
    assert "…" in old
    assert old.endswith("z")
    assert len(old) <= MAX_LINE
    assert new == "+ b"


def test_many_changes_in_one_text_do_not_make_an_endless_line():
    before = " ".join(f"w{n} k" for n in range(300))
    after = " ".join(f"v{n} k" for n in range(300))

    ((_, sides),) = shown({"text": before}, {"text": after})

    assert max(map(len, sides)) <= MAX_LINE


def test_of_many_fields_the_first_are_shown_and_the_rest_counted():
    before = {f"k{n:02}": 0 for n in range(MAX_FIELDS + 3)}
    after = {f"k{n:02}": 1 for n in range(MAX_FIELDS + 3)}

    found = shown(before, after)

    assert len(found) == MAX_FIELDS + 1
    assert found[-1] == ("… and 3 more fields", [])


def test_what_a_text_holds_cannot_steer_the_terminal():
    ((path, sides),) = shown({"k\x1b[2J": "a\x1b[31m\u202eb\nc"}, {"k\x1b[2J": "[bold]x[/bold]"})

    assert path == "/k[2J"
    assert sides == ["- a[31mb c", "+ [bold]x[/bold]"]


def test_matching_punctuation_between_two_changes_belongs_to_them():
    assert compare("call 030-1234567 now", "call xxx-yyyyyyy now") == [
        ("call ", "call "),
        ("030-1234567", "xxx-yyyyyyy"),
        (" now", " now"),
    ]


def test_a_part_of_a_word_that_is_the_same_by_chance_belongs_to_the_change():
    assert compare("is sk-a-key-b here", "is [c:api-key] here") == [
        ("is ", "is "),
        ("sk-a-key-b", "[c:api-key]"),
        (" here", " here"),
    ]


def test_the_pieces_of_a_comparison_put_together_are_the_two_texts():
    before, after = "one, two; three four", "zero one two; 3 four five"

    pieces = compare(before, after)

    assert "".join(piece.before for piece in pieces) == before
    assert "".join(piece.after for piece in pieces) == after


def test_texts_too_long_to_compare_word_by_word_are_one_change():
    before = "same " + "a " * 1_000 + "end"
    after = "same " + "b " * 1_000 + "end"

    pieces = compare(before, after)

    assert [piece.is_same for piece in pieces] == [True, False, True]
