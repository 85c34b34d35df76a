"""What an observer cannot handle: tries, dead letters, and sending them again (R27)."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from hookbus import HookEvent, PermanentError, Plugin, subjects
from hookbus.errors import ControlError
from hookbus.message import Message
from hookbus.models import Payload
from hookbus.plugin import PluginServer
from hookbus.registry.dead_letters import DeadLetters
from hookbus.registry.observers import ADVISED
from tests.flow.bus import HI, Bus
from tests.flow.observers import advisory, failing
from tests.flow.scripted import Scripted

SOON = {"backoff_ms": [20, 40], "max_deliver": 3}


class Strict(Payload):
    """What no message is."""

    number: int


async def letters(bus: Bus, count: int = 1, *, poll: float = 0.01) -> list[dict[str, Any]]:
    """Wait until there are so many dead letters."""
    found: list[dict[str, Any]] = []
    while len(found) != count:
        await asyncio.sleep(poll)
        found = (await bus.control("dlq"))["letters"]
    return found


async def test_after_the_last_try_an_event_is_a_dead_letter_with_what_was_raised(bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    await bus.start(observers=SOON)
    await bus.serve(failing(seen, lambda: RuntimeError("a secret of the handler's")))

    await bus.emitter.emit("message_received", HI, id="e1")
    [letter] = await letters(bus)

    assert len(seen) == 3
    assert letter | {"at": "", "id": 0} == {
        **{"id": 0, "at": "", "plugin": "o", "hook": "watch", "type": "message_received"},
        **{"event": "e1", "source": "/test", "tries": 3, "is_empty": False},
        "error": "RuntimeError; see the plugin's log",
    }


async def test_the_tries_come_later_each_time_as_the_settings_say(memory_bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    times: list[float] = []
    settings = {"backoff_ms": [2_000, 7_000], "max_deliver": 5}
    await memory_bus.start(observers=settings)
    await memory_bus.serve(failing(seen, lambda: times.append(memory_bus.now()) or KeyError()))

    await memory_bus.emit()
    await letters(memory_bus, poll=5.0)

    waits = [after - before for before, after in itertools.pairwise(times)]
    assert waits == pytest.approx([2.0, 7.0, 7.0, 7.0], abs=0.01)


async def test_changed_settings_reach_a_plugin_that_is_up_and_its_consumer(bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    await bus.start()
    server = await bus.serve(failing(seen, lambda: KeyError()))
    before = (await bus.streams.places(subjects.OBSERVE_STREAM))["o_watch"]

    await bus.control("apply", settings={"observers": {"max_deliver": 1, "ack_wait_ms": 700}})
    await bus.until(lambda: redelivery(server).max_deliver == 1)
    await bus.emit()
    [letter] = await letters(bus)

    [spec] = await bus.streams.consumers(subjects.OBSERVE_STREAM)
    after = (await bus.streams.places(subjects.OBSERVE_STREAM))["o_watch"]
    assert (spec.max_deliver, spec.ack_wait, after.created) == (1, 0.7, before.created)
    assert (letter["tries"], len(seen)) == (1, 1)


def redelivery(server: PluginServer) -> Any:
    return server._observing.redelivery


async def test_the_registrys_log_does_not_quote_what_a_plugin_said(
    memory_bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    """It may quote what is secret in the event."""
    await memory_bus.start()
    await memory_bus.serve(failing([], lambda: PermanentError("no user Eve")))

    await memory_bus.emit()
    await letters(memory_bus)

    said = [r.getMessage() for r in caplog.records if r.name == "hookbus.registry.dead_letters"]
    assert said == ["dead_letter plugin=o hook=watch tries=1; 'hookbus dlq' says why"]


async def test_a_permanent_error_is_a_dead_letter_at_once(bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    await bus.start()
    await bus.serve(failing(seen, lambda: PermanentError("no such user\x1b[1m")))

    await bus.emit()
    [letter] = await letters(bus)

    assert (letter["tries"], letter["error"]) == (1, "PermanentError: no such user[1m")


async def test_data_that_does_not_fit_the_handlers_model_is_a_dead_letter_at_once(bus: Bus) -> None:
    plugin = Plugin("o", version="1.0.0")

    @plugin.hook("message_received", phase="observe", name="watch")
    async def watch(event: HookEvent[Strict]) -> None: ...

    await bus.start()
    await bus.serve(plugin)

    await bus.emit()
    [letter] = await letters(bus)

    assert (letter["tries"], letter["error"]) == (1, "the data does not fit Strict at 'number'")


async def test_a_plugin_of_any_kind_that_never_answers_ends_in_a_dead_letter(bus: Bus) -> None:
    await bus.start(
        Scripted("mute", phase="observe"), observers={"ack_wait_ms": 100, "max_deliver": 2}
    )

    await bus.emit()
    [letter] = await letters(bus)

    assert (letter["plugin"], letter["hook"], letter["tries"]) == ("mute", "hook", 2)
    assert letter["error"] == "given up after 2 deliveries that nobody acknowledged"


async def test_a_letter_sent_again_comes_to_its_hook_and_to_no_other(bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    others: list[HookEvent[Any]] = []
    errors: list[Exception | None] = [PermanentError("not today"), None]
    other = Plugin("p", version="1.0.0")

    @other.hook(">", phase="observe", name="all")
    async def all_(event: HookEvent[Any]) -> None:
        others.append(event)

    await bus.start()
    await bus.serve(failing(seen, lambda: errors.pop(0)))
    await bus.serve(other)
    await bus.emitter.emit("message_received", HI, id="e1")
    [letter] = await letters(bus)

    answer = await bus.control("dlq_retry", id=letter["id"])
    await bus.until(lambda: len(seen) == 2)

    assert (answer["retried"], answer["left"], answer["next"]) == ([letter["id"]], [], None)
    assert await letters(bus, 0) == []
    assert [event.id for event in seen] == ["e1", "e1"]
    assert seen[0] == seen[1]
    assert [event.id for event in others] == ["e1"]


async def test_what_fails_again_is_a_letter_again_and_its_tries_are_added_up(bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    await bus.start(observers=SOON)
    await bus.serve(failing(seen, lambda: KeyError()))
    await bus.emit()
    [first] = await letters(bus)

    await bus.control("dlq_retry", all=True)
    await bus.until(lambda: len(seen) == 6)
    [second] = await letters(bus)

    assert (first["tries"], second["tries"]) == (3, 6)
    assert second["event"] == first["event"]


async def test_a_letter_stays_while_nobody_could_take_it(bus: Bus) -> None:
    mute = Scripted("mute", phase="observe")
    await bus.start(mute, observers={"ack_wait_ms": 100, "max_deliver": 1})
    await bus.emit()
    [letter] = await letters(bus)
    await mute.vanish()

    away = await bus.control("dlq_retry", plugin="mute")
    await bus.control("remove", plugin="mute")
    unbound = await bus.control("dlq_retry", plugin="mute")

    assert away["left"] == [{"id": letter["id"], "why": "no replica of mute answers; start it"}]
    assert unbound["left"][0]["why"] == "no hook hook of mute is bound to observe"
    assert await letters(bus) == [letter]


async def test_letters_are_listed_by_page_and_plugin_and_dropped(bus: Bus) -> None:
    names = ("a", "b")
    await bus.start(
        *(Scripted(name, phase="observe") for name in names),
        observers={"ack_wait_ms": 100, "max_deliver": 1},
    )
    for _ in range(3):
        await bus.emit()
    every = await letters(bus, 6)

    page = await bus.control("dlq", n=2)
    rest = await bus.control("dlq", n=100, after=page["next"])
    of_a = await bus.control("dlq", plugin="a")
    await bus.control("dlq_drop", plugin="a")
    left = await letters(bus, 3)
    [b, *_] = left
    dropped = await bus.control("dlq_drop", id=b["id"])

    assert page["letters"] + rest["letters"] == every
    assert {letter["plugin"] for letter in of_a["letters"]} == {"a"}
    assert {letter["plugin"] for letter in left} == {"b"}
    assert dropped["dropped"] == [b["id"]]
    with pytest.raises(ControlError, match=f"no dead letter {b['id']}"):
        await bus.control("dlq", id=b["id"])


@pytest.mark.parametrize("members", [{}, {"id": 1, "all": True}, {"plugin": "a", "all": True}])
async def test_which_letters_are_dropped_is_said_in_one_way(
    bus: Bus, members: dict[str, Any]
) -> None:
    await bus.start()

    with pytest.raises(ControlError, match="expected one of id, plugin, or all: true"):
        await bus.control("dlq_drop", **members)


async def test_operators_see_letters_without_what_is_secret(bus: Bus) -> None:
    said = PermanentError("cannot greet hunter2@example.org")
    await bus.start(
        types={"signed_up": {"secret": ["/email"]}, "message_received": {}},
    )
    plugin = Plugin("o", version="1.0.0")

    @plugin.hook("signed_up", phase="observe", name="watch")
    async def watch(event: HookEvent[Any]) -> None:
        raise said

    await bus.serve(plugin)
    await bus.emit({"email": "hunter2@example.org", "name": "Eve"}, type="signed_up")
    [row] = await letters(bus)

    [letter] = (await bus.control("dlq", id=row["id"]))["letters"]

    assert row == {name: value for name, value in letter.items() if name != "observed"}
    assert letter["observed"]["event"]["data"] == {"email": "[masked]", "name": "Eve"}
    assert letter["error"] == "PermanentError: cannot greet [masked]"
    assert b"hunter2" not in msgspec.json.encode(letter)


async def test_without_the_type_nobody_knows_what_is_secret_and_no_data_is_shown(bus: Bus) -> None:
    plugin = Plugin("o", version="1.0.0")

    @plugin.hook(">", phase="observe", name="watch")
    async def watch(event: HookEvent[Any]) -> None:
        raise PermanentError("no")

    await bus.start(types={"signed_up": {"secret": ["/email"]}})
    await bus.serve(plugin)
    await bus.emit({"email": "hunter2@example.org"}, type="signed_up")
    [row] = await letters(bus)

    await bus.control("apply", settings={})
    [letter] = (await bus.control("dlq", id=row["id"]))["letters"]

    assert letter["observed"]["event"]["data"] == "[masked]"


async def test_what_is_given_up_while_no_registry_runs_is_a_letter_later(bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    await bus.start()
    await bus.serve(failing(seen, lambda: PermanentError("no")))
    await bus.dead_letters.stop()

    await bus.emit()
    await until_stored(bus, subjects.ADVISORIES_STREAM, subjects.ADVISORY_SUBJECTS[1])
    before = (await bus.control("dlq"))["letters"]
    await bus.dead_letters.start()

    assert before == []
    assert len(await letters(bus)) == 1


async def until_stored(bus: Bus, stream: str, subject: str) -> None:
    while await bus.streams.find(stream, 1, subject) is None:
        await asyncio.sleep(0.01)


async def test_a_registry_that_dies_while_it_writes_a_letter_makes_no_second_one(bus: Bus) -> None:
    """It has stored the letter, and has not said so: another registry gets the advisory again."""
    seen: list[HookEvent[Any]] = []
    await bus.start()
    await bus.streams.ensure_consumer(replace(ADVISED, ack_wait=0.3))
    await bus.serve(failing(seen, lambda: PermanentError("no")))
    await bus.dead_letters.stop()
    dying = Dying(await bus.connect("registry"), bus.streams, bus.observing.taken_away)
    await dying.start()

    await bus.emit()
    await bus.until(lambda: dying.written == 1)
    await dying.stop()
    await bus.dead_letters.start()
    while (await bus.streams.places(subjects.ADVISORIES_STREAM))["registry"].unanswered:
        await asyncio.sleep(0.01)

    assert (dying.written, bus.dead_letters.written) == (1, 0)
    assert len(await letters(bus)) == 1


class Dying(DeadLetters):
    """A registry that is killed between writing a letter and acknowledging."""

    async def _take(self, message: Message) -> None:
        await self._write(message.data)


async def test_two_registries_write_each_letter_once(nats_bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    await nats_bus.start()
    await nats_bus.serve(failing(seen, lambda: PermanentError("no")))
    second = DeadLetters(
        await nats_bus.connect("registry"), nats_bus.streams, nats_bus.observing.taken_away
    )
    await second.start()

    await nats_bus.together(nats_bus.emit() for _ in range(40))
    found = await letters(nats_bus, 40)
    await second.stop()

    assert len({letter["event"] for letter in found}) == 40
    assert second.written + nats_bus.dead_letters.written == 40
    assert second.written > 0


async def test_what_is_shown_again_and_given_up_again_is_a_letter_again(bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    await bus.start()
    await bus.serve(failing(seen, lambda: PermanentError("no")))
    await bus.emit()
    [first] = await letters(bus)
    await bus.control("dlq_drop", id=first["id"])

    await bus.control("replay", plugin="o", since="2026-01-01T00:00:00Z")
    [second] = await letters(bus)

    assert second["event"] == first["event"]


async def test_a_letter_about_an_event_that_is_gone_says_so(nats_bus: Bus) -> None:
    mute = Scripted("mute", phase="observe")
    await nats_bus.start(mute)
    said = f"{subjects.ADVISORIES}MAX_DELIVERIES.{subjects.OBSERVE_STREAM}.mute_hook"

    await nats_bus.transport.publish(said, advisory("hook", None))
    [letter] = await letters(nats_bus)
    answer = await nats_bus.control("dlq_retry", id=letter["id"])

    assert letter["error"].endswith("the event was gone from the stream already")
    assert letter["is_empty"]
    assert answer["left"] == [{"id": letter["id"], "why": "the event is not in it any more"}]
