"""The bundled conversation is whole, labelled and fit to be published."""

from importlib.resources import files

from hookbus.cli.demo.conversation import Line, load_conversation
from hookbus.models import (
    Decision,
    EventRef,
    MessageReceived,
    PluginRecord,
    ResponseGenerated,
    ToolInvoked,
)

MODELS = {
    "message_received": MessageReceived,
    "tool_invoked": ToolInvoked,
    "response_generated": ResponseGenerated,
}
#: who is expected for an outcome, as the three reference plugins divide the work
DECIDERS = {"continue": None, "intercept": "redact-secrets", "block": "guard-tools"}
#: what scanners for secrets look for; a reader of the raw file must not find it
SCANNED = ("ghp_", "sk_live_", "sk-ant-", "AKIA", "eyJ", "-----BEGIN", "postgres://")

CARD = {"text": "4111 1111 1111 1111"}


def test_there_are_at_least_sixty_events():
    assert len(load_conversation()) >= 60


def test_every_built_in_type_and_every_outcome_is_there():
    lines = load_conversation()

    assert {line.type for line in lines} == set(MODELS)
    assert {line.expect for line in lines} == set(DECIDERS)


def test_every_payload_fits_its_types_model():
    for line in load_conversation():
        model = MODELS[line.type].model_validate(line.data, strict=True)

        assert model.model_dump(exclude_unset=True) == line.data


def test_every_event_is_labelled_with_the_plugin_that_decides_it():
    for line in load_conversation():
        assert line.by == DECIDERS[line.expect], line.label
        assert 0 < len(line.label) <= 60
        assert line.thread


def test_benign_events_that_look_dangerous_are_among_them():
    lines = [line for line in load_conversation() if line.label.startswith("look-alike")]

    assert len(lines) >= 10
    assert {line.type for line in lines} == set(MODELS)
    assert {line.expect for line in lines} == {"continue"}


def test_no_event_comes_twice():
    lines = load_conversation()

    assert len({str(line.data) for line in lines}) == len(lines)
    assert len({line.label for line in lines}) > len(lines) - 10


def test_a_scanner_for_secrets_finds_nothing_in_the_file():
    raw = files("hookbus.cli.demo").joinpath("conversation.jsonl").read_text(encoding="utf-8")
    parsed = "\n".join(str(line.data) for line in load_conversation())

    assert [prefix for prefix in SCANNED if prefix in parsed] == list(SCANNED)
    # the one that an answer names alone has nothing behind it
    assert [p for p in SCANNED if p in raw.replace("sk_live_;", "")] == []


def decision(**members):
    return Decision(id="d", event=EventRef("e", "/demo", "message_received"), **members)


def line(**members):
    known = {"thread": "t", "type": "message_received", "data": CARD, "label": "a card"}
    return Line(**known, **members)


def test_a_label_is_met_by_its_outcome_and_its_plugin():
    changed = PluginRecord(
        plugin="redact-secrets", hook="h", version="1.0.0", phase="mutate", mutated=True
    )

    assert line(expect="continue", by=None).is_met_by(decision(outcome="continue"))
    assert line(expect="intercept", by="redact-secrets").is_met_by(
        decision(outcome="intercept", records=(changed,))
    )
    assert line(expect="block", by="guard-tools").is_met_by(
        decision(outcome="block", by="guard-tools")
    )


def test_a_label_is_not_met_by_another_plugin_or_outcome():
    label = line(expect="block", by="guard-tools")

    assert not label.is_met_by(decision(outcome="block", by="redact-secrets"))
    assert not label.is_met_by(decision(outcome="block", by=None))
    assert not label.is_met_by(decision(outcome="continue"))
