"""A decision is readable in 80 columns and wider, without colours, whatever the plugins wrote."""

import io

import pytest
from rich.console import Console

from hookbus.cli.render import authors, render_decision
from hookbus.models import Decision, EventRef, OtherBlock, PluginRecord

MESSAGE = {"text": "The card was 4111 1111 1111 1111, valid until 12/27.", "user": "ana"}
REDACTED = {"text": "The card was [redacted:card], valid until 12/27.", "user": "ana"}
CALL = {"name": "shell", "args": {"command": "rm -rf /"}}


def record(plugin="redact-secrets", **members):
    known = {"hook": "h", "version": "1.0.0", "phase": "mutate", "ms": 0.84}
    return PluginRecord(plugin=plugin, **{**known, **members})


def decision(type="message_received", **members):
    known = {"id": "d1", "event": EventRef("e1", "/demo", type), "outcome": "continue"}
    return Decision(**{**known, "records": (record(),), **members})


def printed(renderable, width=80, **options):
    file = io.StringIO()
    Console(file=file, width=width, **options).print(renderable)
    return file.getvalue()


INTERCEPTED = decision(
    outcome="intercept",
    data=REDACTED,
    records=(record(mutated=True, pointers=("/text",), annotations={"redacted.card": "1"}),),
)
BLOCKED = decision(
    type="tool_invoked",
    outcome="block",
    cause="verdict",
    by="guard-tools",
    code="dangerous_command",
    reason="guard-tools: remove_all: rm -rf /",
    message="This was stopped.",
    records=(record(), record("guard-tools", phase="validate", ms=12.0, verdict="block")),
)
ABSENT = decision(
    outcome="block",
    cause="failure",
    by="redact-secrets",
    code="no_responders",
    reason="redact-secrets: no_responders: nothing listens on hookbus.call.redact-secrets.h; start "
    "the plugin, or unbind it with `hookbus plugins remove redact-secrets`",
    records=(record(failure="no_responders", resolution="failed_closed"),),
)


def test_a_continue_shows_the_event_and_the_milliseconds():
    assert printed(render_decision(decision(), MESSAGE)).splitlines() == [
        "✓ continue   message_received ana                          redact-secrets 0.8 ms",
        "             The card was 4111 1111 1111 1111, valid until 12/27.",
    ]


def test_an_intercept_shows_who_changed_what():
    assert printed(render_decision(INTERCEPTED, MESSAGE)).splitlines() == [
        "~ intercept  message_received ana                          redact-secrets 0.8 ms",
        "             redact-secrets changed /text (redacted.card 1)",
        "             - The card was 4111 1111 1111 1111, valid until 12/27.",
        "             + The card was [redacted:card], valid until 12/27.",
    ]


def test_an_intercept_of_several_fields_names_each():
    before = {"args": {"cc": ["a@x.io"], "text": "to b@x.io"}, "name": "mail"}
    after = {"args": {"cc": ["[mail]"], "text": "to [mail]"}, "name": "mail"}
    changed = record(mutated=True, pointers=("/args/cc/0", "/args/text"))

    shown = decision(type="tool_invoked", outcome="intercept", data=after, records=(changed,))

    assert printed(render_decision(shown, before)).splitlines()[1:] == [
        "             redact-secrets changed /args/cc/0, /args/text",
        "             /args/cc",
        '             - ["a@x.io"]',
        '             + ["[mail]"]',
        "             /args/text",
        "             - to b@x.io",
        "             + to [mail]",
    ]


def test_a_block_shows_who_and_why_and_what_the_user_is_told():
    assert printed(render_decision(BLOCKED, CALL)).splitlines() == [
        "✗ block      tool_invoked shell         redact-secrets 0.8 · guard-tools 12.0 ms",
        "             command: rm -rf /",
        "             guard-tools blocked it: remove_all: rm -rf / (dangerous_command)",
        "             to the user: This was stopped.",
    ]


def test_a_brief_block_leaves_out_what_the_user_is_told():
    assert "to the user" not in printed(render_decision(BLOCKED, CALL, is_brief=True))


def test_a_block_by_failure_names_the_plugin_the_class_and_what_to_do():
    text = " ".join(printed(render_decision(ABSENT, MESSAGE)).split())

    assert "redact-secrets failed: no_responders: nothing listens on" in text
    assert "unbind it with `hookbus plugins remove redact-secrets`" in text


def test_a_block_by_nobody_is_of_the_bus():
    busy = decision(outcome="block", cause="limit", code="overloaded", reason="busy", records=())

    assert printed(render_decision(busy, MESSAGE)).splitlines()[::2] == [
        "✗ block      message_received ana                            no plugin was asked",
        "             hookbus limit: busy (overloaded)",
    ]


def test_other_blocks_warnings_and_open_failures_are_shown():
    shown = decision(
        outcome="block",
        by="a",
        cause="verdict",
        reason="a: no",
        others=(OtherBlock(by="b", cause="failure", code="timeout", reason="b: timeout: slow"),),
        warnings=("c: careful",),
        records=(record("d", failure="timeout", reason="no answer", resolution="failed_open"),),
    )

    assert [line.strip() for line in printed(render_decision(shown, MESSAGE)).splitlines()[3:]] == [
        "also b: timeout: slow",
        "warning c: careful",
        "d failed open: timeout: no answer",
    ]


def test_a_plugin_that_was_never_called_has_no_milliseconds():
    absent = record("guard-tools", attempt=0, failure="timeout")

    alone = printed(render_decision(decision(records=(absent,)), MESSAGE)).splitlines()[0]
    after = printed(render_decision(decision(records=(record(), absent)), MESSAGE)).splitlines()[0]

    assert alone.endswith("  guard-tools not asked")
    assert after.endswith(" redact-secrets 0.8 ms · guard-tools not asked")


def test_a_label_is_shown_where_there_is_room():
    narrow = printed(render_decision(decision(), MESSAGE, label="a card"), width=80)
    wide = printed(render_decision(decision(), MESSAGE, label="a card"), width=120)

    assert "a card" not in narrow
    assert wide.splitlines()[0] == (
        "✓ continue   message_received ana  a card"
        "                                                          redact-secrets 0.8 ms"
    )


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("shown", [decision(), INTERCEPTED, BLOCKED, ABSENT])
def test_no_line_is_wider_than_the_terminal_or_ends_in_blanks(width, shown):
    lines = printed(render_decision(shown, MESSAGE, label="a label"), width=width).splitlines()

    assert max(map(len, lines)) <= width
    assert [line for line in lines if line != line.rstrip()] == []


def test_milliseconds_that_do_not_fit_beside_the_heading_stand_below():
    many = decision(records=tuple(record(f"plugin-number-{n}") for n in range(4)))

    lines = printed(render_decision(many, MESSAGE)).splitlines()

    assert lines[0] == "✓ continue   message_received ana"
    assert lines[-2].strip().startswith("plugin-number-0 0.8 · plugin-number-1 0.8 ·")


def test_markup_in_foreign_text_is_shown_as_it_stands():
    shown = decision(
        outcome="block", cause="verdict", by="p", reason="p: [red]no[/red] [link=x]y[/link]"
    )

    text = printed(render_decision(shown, {"text": "[blink]hi[/]"}), force_terminal=True)

    assert "[red]no[/red] [link=x]y[/link]" in text
    assert "[blink]hi[/]" in text


def test_no_control_character_or_bidi_override_gets_through():
    nasty = "a\x1b[2J\x07\u202eb\x9b1m\rc\nd"
    shown = decision(
        type=nasty,
        outcome="block",
        cause=nasty,
        by=nasty,
        code=nasty,
        message=nasty,
        reason=nasty,
        warnings=(nasty,),
        others=(OtherBlock(by=nasty, cause=nasty, code=nasty, reason=nasty),),
        records=(
            record(nasty, reason=nasty, failure=nasty, resolution="failed_open", mutated=True),
        ),
    )
    changed = decision(
        outcome="intercept",
        data={nasty: "x"},
        records=(record(nasty, mutated=True, pointers=(nasty,), annotations={nasty: nasty}),),
    )
    data = {"text": nasty, "user": nasty}

    text = printed(render_decision(shown, data, label=nasty), width=120)
    text += printed(render_decision(changed, data, label=nasty), width=120)

    assert [c for c in text if not c.isprintable() and c != "\n"] == []


def test_a_long_reason_is_shortened():
    shown = decision(outcome="block", by="p", cause="verdict", reason="p: " + "why " * 5_000)

    text = printed(render_decision(shown, MESSAGE))

    assert "…" in text
    assert len(text) < 1_200


def test_without_colours_there_is_no_escape_sequence_and_the_signs_stay():
    text = printed(render_decision(INTERCEPTED, MESSAGE), force_terminal=True, no_color=True)

    assert "~ intercept" in text
    assert "\x1b[3" not in text  # bold and dim are left, no colour is


def test_removed_is_red_and_added_is_green():
    text = printed(
        render_decision(INTERCEPTED, MESSAGE), force_terminal=True, color_system="standard"
    )

    assert "\x1b[1;31m4111 1111 1111 1111" in text
    assert "\x1b[1;32m[redacted:card]" in text


def test_payloads_of_other_types_are_shown_as_json():
    shown = printed(render_decision(decision(type="order_placed"), {"id": 7, "tags": ["x"]}))

    assert shown.splitlines()[1].strip() == '{"id":7,"tags":["x"]}'


def test_the_authors_of_a_decision_are_who_blocked_or_who_changed():
    both = (record(mutated=True), record("other", mutated=True), record("third"))

    assert authors(decision()) == ()
    assert authors(BLOCKED) == ("guard-tools",)
    assert authors(decision(outcome="block", by=None)) == ()
    assert authors(decision(outcome="intercept", records=both)) == ("redact-secrets", "other")
