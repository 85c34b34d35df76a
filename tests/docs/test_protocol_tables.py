"""What docs/protocol.md lists is what the code knows, and its examples pass the code's checks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

import hookbus
from hookbus import subjects
from hookbus.catalog import Catalog
from hookbus.config.settings import Settings
from hookbus.conformance.service import problem_of
from hookbus.errors import InvalidManifest, UnavailableCode
from hookbus.manifest import announcement, answer, semver
from hookbus.manifest.announcement import parse_announcement
from hookbus.manifest.hook import HookOptions, parse_hook
from hookbus.measures import COUNTERS
from hookbus.models import Cause, Decision, FailureClass, Resolution
from hookbus.wire import limits
from hookbus.wire.call import decode_call, decode_observed
from hookbus.wire.decision import decode_decision, decode_refusal
from hookbus.wire.event import decode_event
from hookbus.wire.verdict import Answer, Dropped, Expected, Extend, verify_reply
from tests.docs.page import Page

CALL_ID = "NIxwEl8D7kemir1sFuVyLA"
EXPECTED = Expected("no-secrets", CALL_ID, attempt=1, max_bytes=1_000)

#: Replies that show what the page says about each failure of a plugin.
FAILING_REPLIES: list[tuple[str, dict[str, Any]]] = [
    ("service_error", {"verdict": "error"}),
    ("overloaded", {"verdict": "error", "code": "overloaded"}),
    ("malformed", {"v": 2, "verdict": "continue"}),
    ("malformed", {}),
    ("malformed", {"verdict": "intercept"}),
    ("malformed", {"verdict": "intercept", "merge": {}, "data": {}}),
    ("malformed", {"verdict": "continue", "patch": None}),
    ("uid_mismatch", {"call": "another", "verdict": "continue"}),
    ("uid_mismatch", {"attempt": None, "verdict": "continue"}),
    ("uid_mismatch", {"attempt": 2, "verdict": "continue"}),
    ("unknown_verdict", {"verdict": "perhaps"}),
    ("reply_too_large", {"verdict": "continue", "warnings": ["w" * 1_000]}),
]


def words(rows: list[list[str]], column: int = 0) -> list[str]:
    """Every word in backquotes of one column."""
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row[column])]


def sources(where: str) -> list[ast.Module]:
    """The syntax trees of a file of the package, or of all files in a folder."""
    place = Path(hookbus.__file__).parent / where
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    return [ast.parse(file.read_text()) for file in files]


def constant(node: ast.AST | None) -> str | None:
    """The text that stands there, if it is one."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def literals(function: str, argument: int | str, where: str) -> set[str]:
    """The texts that the code hands to *function* as that argument."""
    calls = [
        node
        for tree in sources(where)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == function
    ]
    given = [
        call.args[argument : argument + 1]
        if isinstance(argument, int)
        else [k.value for k in call.keywords if k.arg == argument]
        for call in calls
    ]
    return {text for nodes in given for node in nodes if (text := constant(node))}


def encoded_again(decode: Callable[[bytes], object], message: Any) -> Any:
    """What the code's own struct keeps of a message, as JSON values."""
    return json.loads(msgspec.json.encode(decode(json.dumps(message).encode())))


def replied(members: dict[str, Any]) -> Answer | Extend | Dropped:
    envelope = {"v": 1, "call": CALL_ID, "attempt": 1, "plugin": "no-secrets"}
    return verify_reply(json.dumps(envelope | members).encode(), None, EXPECTED)


def test_the_subjects_of_the_page_are_those_of_the_code(page: Page) -> None:
    assert words(page.rows("subject")) == [
        subjects.emit("<principal>", "<type>"),
        subjects.notify("<principal>", "<type>"),
        subjects.call("<plugin>", "<hook>"),
        subjects.reply_prefix("<dispatcher>") + "<call>.<plugin>",
        subjects.announce("<plugin>"),
        subjects.config("<plugin>"),
        subjects.control("<principal>", "<operation>"),
        subjects.decision("<outcome>", "<type>"),
        subjects.observe("<type>"),
    ]
    assert f"`{subjects.NAME.pattern}`" in page.text


def test_the_page_explains_every_member_of_a_decision(page: Page) -> None:
    assert sorted(words(page.rows("member"))) == sorted(Decision.__struct_fields__)


def test_the_page_explains_every_cause_of_a_block(page: Page) -> None:
    assert sorted(words(page.rows("cause"))) == sorted(get_args(Cause))


def test_the_page_explains_every_code_of_the_bus(page: Page) -> None:
    """A block's code is the plugin's own, its failure, or one of those that the page lists."""
    shown = {row[0]: set(words([row], -1)) for row in page.rows("cause")}
    unavailable = set(get_args(UnavailableCode))
    assert shown.pop("`unavailable`") == unavailable
    assert set().union(*shown.values()) - {"timeout", "schema"} == literals(
        "Objection", 2, "dispatch"
    ) - {"timeout", "schema"}


def test_the_page_explains_every_code_of_a_refusal(page: Page) -> None:
    written = literals("ErrorBody", 0, "dispatch") | literals("InvalidEvent", "code", "")

    assert set(words(page.rows("code | sent when"))) == written | {"invalid_event"}


def test_the_page_explains_every_error_of_an_operators_request(page: Page) -> None:
    written = literals("ControlError", "code", "") | literals("ErrorBody", 0, "registry/control.py")

    # no registry is no answer: it is said by whoever asked
    assert set(words(page.rows("error"))) == written - {"no_registry"}


def test_the_page_explains_every_resolution(page: Page) -> None:
    assert sorted(words(page.rows("resolution"))) == sorted(get_args(Resolution))


def test_the_page_explains_every_note_of_a_record(page: Page) -> None:
    written = {
        kind
        for folder in ("dispatch", "runtimes")
        for tree in sources(folder)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for kind in [dict(zip(map(constant, node.keys), map(constant, node.values), strict=True))]
        for kind in [kind.get("kind")]
        if kind
    }

    assert set(words(page.rows("note"))) == written


def test_the_page_names_what_belongs_to_nobody(page: Page) -> None:
    sentence = re.search(r"\. ([^.]*) are the bus's own names", page.text.replace("\n", " "))

    assert sentence is not None
    assert set(re.findall(r"`([^`]+)`", sentence[1])) == subjects.RESERVED_NAMES
    for name in subjects.RESERVED_NAMES:
        with pytest.raises(InvalidManifest, match="a name of the bus's own"):
            parse_announcement(b"{}", name)


def test_the_page_lists_the_streams_and_what_they_capture(page: Page) -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in page.rows("stream")}

    assert shown == subjects.STREAM_SUBJECTS
    assert f"`{subjects.announced('<plugin>')}`" in page.text


def test_the_page_names_every_variable_of_a_connection(page: Page) -> None:
    shown = words(page.rows("variable"))

    [source] = sources("config/connection.py")
    names = {str(node.value) for node in ast.walk(source) if isinstance(node, ast.Constant)}
    read = {name for name in names if re.fullmatch(r"HOOKBUS_[A-Z_]*[A-Z]", name)}
    assert set(shown) == read


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("nesting of JSON", limits.MAX_DEPTH),
        ("`id`, `source`", limits.MAX_TEXT),
        ("event type", subjects.MAX_EVENT_TYPE_LENGTH),
        ("`instance`", announcement.MAX_INSTANCE_LENGTH),
        ("`version`", semver.MAX_VERSION_LENGTH),
        ("hooks of one plugin", announcement.MAX_HOOKS),
        ("problems in one answer", answer.MAX_PROBLEMS),
        ("`reason`, `message`", limits.MAX_TEXT),
        ("`code`", limits.MAX_CODE),
        ("`warnings` of one verdict", limits.MAX_WARNINGS),
        ("`annotations` of one verdict", limits.MAX_ANNOTATIONS),
    ],
)
def test_the_fixed_limits_of_the_page_are_those_of_the_code(
    page: Page, what: str, limit: int
) -> None:
    [row] = [row for row in page.rows("what | limit") if row[0] == what]

    assert re.search(rf"\b{limit:,}\b", row[1]), row


@pytest.mark.parametrize("verb", ["PING", "INFO", "STATS"])
def test_a_plugin_that_answers_as_the_page_shows_is_a_service(page: Page, verb: str) -> None:
    shown = json.dumps(page.value(verb.lower())).encode()

    assert problem_of(verb, "no-secrets", shown) is None


def test_the_page_explains_every_failure_of_a_plugin(page: Page) -> None:
    assert sorted(words(page.rows("failure"))) == sorted(get_args(FailureClass))


def test_the_page_explains_every_counter(page: Page) -> None:
    assert sorted(words(page.rows("counter"))) == sorted(COUNTERS)


def test_the_page_explains_every_option_of_a_hook_with_its_default(page: Page) -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in page.rows("option | default")}

    assert shown.keys() == HookOptions.model_fields.keys()
    for name in shown.keys() - {"type", "phase", "name"}:
        default = HookOptions.model_fields[name].default
        assert shown[name] == (default if isinstance(default, str) else json.dumps(default)), name


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("on_failure", "open"),
        ("when", ["true"]),
        ("writable", ["/text"]),
        ("retry", 1),
        ("cache_ttl_ms", 1_000),
        ("cache_key", ["/text"]),
    ],
)
def test_an_observe_hook_refuses_what_the_page_says(option: str, value: Any) -> None:
    problems = parse_hook({"type": "tool_invoked", "phase": "observe", option: value})

    assert isinstance(problems, tuple)
    assert [problem.at for problem in problems] == [option]


def test_the_settings_of_the_page_have_these_defaults(page: Page) -> None:
    defaults = Settings().model_dump()
    for section in ("patch", "breaker"):
        defaults |= {f"{section}.{name}": value for name, value in defaults[section].items()}

    for name, shown, _ in page.rows("setting"):
        assert float(shown) == defaults[name.strip("`")], name


@pytest.mark.parametrize(("failure", "members"), FAILING_REPLIES)
def test_a_reply_fails_as_the_page_says(failure: str, members: dict[str, Any]) -> None:
    answer = replied(members)

    assert isinstance(answer, Answer)
    assert answer.failure == failure


def test_a_block_blocks_whatever_else_is_in_the_message() -> None:
    answer = replied({"verdict": "block", "patch": [], "data": 1, "warnings": "none"})

    assert isinstance(answer, Answer)
    assert answer.verdict == "block"


def test_a_verdict_in_another_plugins_name_is_dropped() -> None:
    assert replied({"plugin": "other", "verdict": "block"}) == Dropped("spoofed_reply")


def test_service_error_headers_mean_a_failure() -> None:
    answer = verify_reply(b"", {"Nats-Service-Error": "out of order"}, EXPECTED)

    assert isinstance(answer, Answer)
    assert answer.failure == "service_error"


def test_the_payloads_of_the_page_fit_the_built_in_types(page: Page) -> None:
    catalog = Catalog({})

    shown = page.values("data")

    assert sorted(value["type"] for value in shown) == sorted(type_.name for type_ in catalog)
    for value in shown:
        catalog.get(value["type"]).check(value["data"])


def test_the_event_of_the_page_is_one_whole_event(page: Page) -> None:
    event = page.value("event")

    inbound = decode_event(json.dumps(event).encode(), None, "chat", "message_received")

    # nothing in the example is an attribute that hookbus does not know
    assert {name: getattr(inbound.event, name) for name in event} == event


def test_every_message_of_the_page_has_all_members_and_no_other(page: Page) -> None:
    call, decision, observed = page.value("call"), page.value("decision"), page.value("observed")

    assert encoded_again(decode_call, call) == call
    assert encoded_again(decode_decision, decision) == decision
    assert encoded_again(decode_observed, observed) == {**observed, "traceparent": None}


def test_the_announcement_of_the_page_says_nothing_twice(page: Page) -> None:
    for label in ("announcement", "goodbye"):
        shown = page.value(label)
        read = parse_announcement(json.dumps(shown).encode(), "no-secrets")
        assert read.to_document() == shown


def test_the_verdicts_of_the_page_are_believed(page: Page) -> None:
    answers = [
        verify_reply(json.dumps(verdict).encode(), None, EXPECTED)
        for verdict in page.values("verdicts")
    ]

    assert answers.pop() == Extend(200)
    assert [(a.verdict, a.failure) for a in answers if isinstance(a, Answer)] == [
        ("continue", None),
        ("intercept", None),
        ("intercept", None),
        ("intercept", None),
        ("block", None),
        (None, "service_error"),
        (None, "overloaded"),
    ]


def test_the_refusal_of_the_page_reads_as_one(page: Page) -> None:
    headers, body = page.message("refusal")

    refusal = decode_refusal(body, headers)

    assert refusal is not None
    assert (refusal.code, refusal.pointer) == ("schema", "/data/text")
