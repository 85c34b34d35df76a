"""The conformance checks in memory: an honest plugin passes, one mistake fails one point."""

from __future__ import annotations

import asyncio

import pytest

from hookbus.catalog import TypeSettings
from hookbus.conformance.caller import Caller
from hookbus.conformance.drain import check_drain
from hookbus.conformance.report import Finding
from hookbus.conformance.run import CALL_CHECKS, examine_hooks
from hookbus.conformance.service import check_service
from hookbus.conformance.target import Hook, PluginAbsent, Target, read_target
from hookbus.snapshot import Binding, ConfigDocument, encode_document
from hookbus.testing import MemoryBroker, MemoryKeyValue, MemoryTransport, run_virtual
from tests.unit.conformance_plugins import MUTATE, NAME, VALIDATE, RawPlugin

MAX_PAYLOAD = 8 * 1024 * 1024

#: mistake → the one point that it fails.
MISTAKES = {
    "silent": "answers",
    "no JSON": "json",
    "wrong call": "echoes-call",
    "no attempt": "echoes-attempt",
    "attempt 1 always": "echoes-attempt",
    "wrong plugin": "names-itself",
    "unknown word": "verdict",
    "no v": "verdict",
    "intercept": "phase",
    "strict keys": "unknown-keys",
    "mixes calls up": "concurrent",
    "late": "in-time",
    "answers inboxes": "dispatchers-only",
    "dies": "malformed-json",
    "dies of size": "large-event",
    "twice": "once",
    "astray": "reply-subject",
}


def examined(*mistakes: str, hook: Hook = VALIDATE, replicas: int = 1) -> list[Finding]:
    """Check a plugin with one replica for each of *mistakes*."""

    async def scenario() -> list[Finding]:
        broker = MemoryBroker(max_payload=MAX_PAYLOAD)
        for mistake in mistakes:
            await RawPlugin(MemoryTransport(broker, principal=NAME), mistake).start()
        caller = Caller(MemoryTransport(broker, principal="dispatcher"), "dispatcher")
        await caller.start()
        return await examine_hooks(caller, Target(plugin=NAME, replicas=replicas, hooks=(hook,)))

    return run_virtual(scenario())


def points(findings: list[Finding], status: str) -> list[str]:
    return [finding.point for finding in findings if finding.status == status]


def test_a_plugin_that_keeps_the_protocol_passes_every_point() -> None:
    findings = examined("", "", replicas=2)

    assert points(findings, "pass") == [check.point for check in CALL_CHECKS]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_mistake_fails_one_point(mistake: str) -> None:
    findings = examined(mistake)

    assert points(findings, "fail") == [MISTAKES[mistake]]


@pytest.mark.parametrize("mistake", ["two changes", "bad patch"])
def test_a_change_that_cannot_be_applied_fails_the_verdict(mistake: str) -> None:
    findings = examined(mistake, hook=MUTATE)

    assert points(findings, "fail") == ["verdict"]


@pytest.mark.parametrize("verdict", ["block", "error"])
def test_objecting_and_owning_up_to_a_failure_conform(verdict: str) -> None:
    findings = examined(verdict)

    assert points(findings, "fail") == []


def test_a_mutate_hook_may_intercept() -> None:
    findings = examined("intercept", hook=MUTATE)

    assert points(findings, "fail") == []


def test_two_replicas_without_a_queue_group_fail_only_that() -> None:
    findings = examined("no queue", "no queue", replicas=2)

    assert points(findings, "fail") == ["queue"]


def test_nothing_is_said_of_the_queue_group_with_one_replica() -> None:
    findings = examined("no queue")

    assert points(findings, "fail") == []
    assert "queue" in points(findings, "skipped")


def test_what_follows_from_a_failed_point_is_skipped_and_says_so() -> None:
    findings = examined("dies")

    [empty] = [finding for finding in findings if finding.point == "empty-body"]
    assert (empty.status, empty.seen) == ("skipped", "needs 'malformed-json'")


def test_a_hook_without_a_payload_is_skipped() -> None:
    hook = Hook(plugin=NAME, name="hook", type="odd", phase="validate", no_data="no payload fits")

    findings = examined("", hook=hook)

    assert {finding.status for finding in findings} == {"skipped"}
    assert findings[0].seen == "no payload fits"


@pytest.mark.parametrize(("mistake", "status"), [("silent", "pass"), ("acknowledges all", "fail")])
def test_an_observer_answers_streams_only(mistake: str, status: str) -> None:
    observe = Hook(plugin=NAME, name="hook", type="message_received", phase="observe")

    [finding] = examined(mistake, hook=observe)

    assert (finding.point, finding.status) == ("streams-only", status)


def test_nothing_subscribed_is_no_plugin() -> None:
    with pytest.raises(
        PluginAbsent, match=r"plugin 'raw' is bound, and nothing listens on 'hookbus.call.raw.hook'"
    ):
        examined()


def drained(mistake: str, *, is_obedient: bool = True, hears: bool = True) -> list[tuple[str, str]]:
    async def scenario() -> list[Finding]:
        broker = MemoryBroker()
        plugin = RawPlugin(MemoryTransport(broker, principal=NAME), mistake)
        await plugin.start()
        caller = Caller(MemoryTransport(broker, principal="dispatcher"), "dispatcher")
        await caller.start()
        stopping: list[object] = []

        def stop() -> None:
            if is_obedient:
                stopping.append(asyncio.ensure_future(plugin.stop()))

        return await check_drain(caller, VALIDATE, stop, hears=hears)

    return [(finding.point, finding.status) for finding in run_virtual(scenario())]


def test_a_plugin_that_drains_passes() -> None:
    assert drained("") == [
        ("drain-goodbye", "pass"),
        ("drain-answers", "pass"),
        ("drain-gone", "pass"),
    ]


def test_a_plugin_that_leaves_without_a_word_fails_the_goodbye() -> None:
    assert drained("no goodbye") == [
        ("drain-goodbye", "fail"),
        ("drain-answers", "pass"),
        ("drain-gone", "pass"),
    ]


def test_a_plugin_that_does_not_stop_fails_to_be_gone() -> None:
    assert ("drain-gone", "fail") in drained("", is_obedient=False)


def test_calls_that_are_lost_while_a_plugin_stops_are_counted() -> None:
    assert ("drain-answers", "fail") in drained("silent")


def test_a_plugin_without_the_service_api_is_only_warned_of() -> None:
    async def scenario() -> Finding:
        return await check_service(MemoryTransport(MemoryBroker()), Target(plugin=NAME))

    finding = run_virtual(scenario())

    assert finding.status == "warn"
    assert "$SRV.PING.raw is not answered" in finding.seen


def read(document: ConfigDocument | None) -> Target:
    async def scenario() -> Target:
        config = MemoryKeyValue(MemoryBroker(), "config")
        if document is not None:
            await config.put("current", encode_document(document))
        return await read_target(config, NAME)

    return run_virtual(scenario())


def test_a_dispatcher_reads_in_the_configuration_what_there_is_to_call() -> None:
    binding = Binding(plugin=NAME, hook="hook", version="1.0.0", type="odd", phase="validate")
    other = Binding(plugin="other", hook="hook", version="1.0.0", type="odd", phase="observe")
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    types = {"odd": TypeSettings(schema=schema)}

    target = read(ConfigDocument(bindings=(binding, other), types=types))

    assert target.is_dispatchers_view
    assert (target.version, target.generation, target.problem) == ("1.0.0", 1, None)
    [hook] = target.hooks
    assert (hook.subject, hook.phase, hook.type) == ("hookbus.call.raw.hook", "validate", "odd")
    assert isinstance(hook.data["n"], int)


@pytest.mark.parametrize("document", [None, ConfigDocument()])
def test_what_is_not_in_the_configuration_is_not_bound(document: ConfigDocument | None) -> None:
    with pytest.raises(PluginAbsent, match=r"plugin 'raw' is not bound; bound are: none"):
        read(document)


def test_who_hears_no_announcement_says_nothing_of_the_goodbye() -> None:
    assert drained("no goodbye", hears=False)[0] == ("drain-goodbye", "skipped")
