"""Event types made known and changed while the bus runs: held back, forced, undone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hookbus import subjects
from hookbus.config.settings import parse_settings
from hookbus.errors import ControlError, InvalidEvent
from hookbus.registry.settings_changes import Source
from tests.flow.bus import Bus
from tests.flow.scripted import Scripted
from tests.flow.test_flow_two_registries import two

ORDER = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "card": {"x-hookbus-secret": True}},
    "examples": [{"id": "o-1"}],
}
STRICTER = {**ORDER, "required": ["id", "card"], "examples": []}
WIDER = {**ORDER, "required": []}
PLAIN = {"is_trial": False, "is_forced": False}


async def schema_of(bus: Bus, name: str) -> Any:
    [view] = (await bus.control("types", type=name))["types"]
    return view["schema"]


async def refused(bus: Bus, operation: str, **members: Any) -> ControlError:
    with pytest.raises(ControlError) as error:
        await bus.control(operation, **members)
    return error.value


async def test_an_added_type_is_known_to_the_next_event(bus: Bus) -> None:
    await bus.start()

    made = await bus.control("add_type", type="order_placed", schema=ORDER)
    await bus.served()
    decision = await bus.emitter.emit("order_placed", {"id": "o-1"})

    assert decision.outcome == "continue"
    assert (made["types"], made["owner"]) == ([], None)
    assert "types.order_placed.schema" in [change["key"] for change in made["difference"]]
    with pytest.raises(InvalidEvent, match="/data/id"):
        await bus.emitter.emit("order_placed", {})


async def test_types_tell_who_asks_what_is_secret_and_where_it_is_from(bus: Bus) -> None:
    await bus.start()
    await bus.control("add_type", type="chat.order_placed", schema=ORDER)
    await bus.add(Scripted("g", type="chat.>"))

    said = await bus.control("types")

    views = {view["name"]: view for view in said["types"]}
    order = views["chat.order_placed"]
    assert [view["builtin"] for view in said["types"]] == [True, True, True, False]
    assert (order["schema"], order["secret"]) == (ORDER, ["/card"])
    assert order["origin"].startswith("types add chat.order_placed by ")
    assert order["hooks"] == [
        {"plugin": "g", "hook": "hook", "phase": "validate", "mode": "enforce"}
    ]
    assert (order["timeout_ms"], order["max_timeout_ms"]) == (1000, 30000)
    assert views["message_received"]["hooks"] == []


async def test_an_unknown_type_is_told_with_the_near_one(bus: Bus) -> None:
    await bus.start()

    error = await refused(bus, "types", type="mesage_received")

    assert (error.code, error.pointer) == ("unknown_type", "/type")
    assert str(error) == (
        "'mesage_received' is not a type of this bus; did you mean 'message_received'?"
    )


async def test_a_schema_that_refuses_yesterdays_events_is_not_added(bus: Bus) -> None:
    await bus.start()
    before = await bus.control("add_type", type="order_placed", schema=ORDER)

    held = await bus.control("add_type", type="order_placed", schema=STRICTER)

    [change] = held["types"]
    assert (held["generation"], change["type"], change["verdict"]) == (
        None,
        "order_placed",
        "refuses",
    )
    assert change["changes"][0]["pointer"] == "/required"
    assert await schema_of(bus, "order_placed") == ORDER
    assert (await bus.control("list"))["generation"] == before["generation"]


async def test_with_force_it_is_and_rollback_undoes_it(bus: Bus) -> None:
    await bus.start()
    before = await bus.control("add_type", type="order_placed", schema=ORDER)

    forced = await bus.control("add_type", type="order_placed", schema=STRICTER, force=True)
    after = await schema_of(bus, "order_placed")
    back = await bus.control("rollback", generation=before["generation"])

    assert (forced["generation"], after) == (before["generation"] + 1, STRICTER)
    assert await schema_of(bus, "order_placed") == ORDER
    assert [change["verdict"] for change in back["types"]] == ["compatible"]


async def test_a_wider_schema_needs_no_force(bus: Bus) -> None:
    await bus.start()
    await bus.control("add_type", type="order_placed", schema=ORDER)

    made = await bus.control("add_type", type="order_placed", schema=WIDER)

    assert [change["verdict"] for change in made["types"]] == ["compatible"]
    assert await schema_of(bus, "order_placed") == WIDER


async def test_a_trial_changes_nothing_and_the_same_schema_makes_no_generation(bus: Bus) -> None:
    await bus.start()
    trial = await bus.control("add_type", type="order_placed", schema=ORDER, dry_run=True)
    with pytest.raises(ControlError, match="not a type"):
        await schema_of(bus, "order_placed")

    first = await bus.control("add_type", type="order_placed", schema=ORDER)
    again = await bus.control("add_type", type="order_placed", schema=ORDER)

    assert trial["generation"] is None
    assert again["generation"] == first["generation"]
    assert again["difference"] == []


async def test_all_else_stays_as_it_is(bus: Bus) -> None:
    await bus.start()
    tree = {"timeout_ms": 700, "types": {"order_placed": {"secret": ["/id"]}}}
    await bus.control("apply", settings=tree)

    await bus.control("add_type", type="order_placed", schema=ORDER, force=True)

    rows = {row["key"]: row for row in (await bus.control("settings"))["settings"]}
    assert rows["timeout_ms"]["value"] == 700
    assert rows["types.order_placed.secret"]["value"] == ["/id"]
    assert rows["types.order_placed.schema"]["origin"].startswith("types add order_placed by ")
    [made] = (await bus.control("history", n=1))["history"]
    assert made["what"] == "types add order_placed"
    assert [change["key"] for change in made["changes"]] == ["types.order_placed.schema"]


async def test_a_schema_that_is_none_is_refused_with_all_that_is_wrong(bus: Bus) -> None:
    await bus.start()
    bad = {"properties": {"a": {"type": "x"}, "b": {"minLength": "x"}}}

    error = await refused(bus, "add_type", type="order_placed", schema=bad)

    assert (error.code, error.pointer) == ("invalid_settings", "/schema")
    assert "/properties/a/type: " in str(error)
    assert "/properties/b/minLength: " in str(error)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"type": "Order", "schema": {}}, "/type"),
        ({"schema": {}}, "/type"),
        ({"type": "order_placed"}, "/schema"),
        ({"type": "order_placed", "schema": "file.json"}, "/schema"),
    ],
)
async def test_a_request_that_is_none_names_what_is_wrong(
    bus: Bus, members: dict[str, Any], pointer: str
) -> None:
    await bus.start()

    error = await refused(bus, "add_type", **members)

    assert (error.code, error.pointer) == ("invalid_request", pointer)


async def test_where_a_file_owns_the_settings_a_type_is_only_tried(bus: Bus) -> None:
    settings = parse_settings({"mode": "production", "plugins": {}}, "hookbus.toml")
    await bus.host_registry(Source(settings, "the file 'hookbus.toml'"))

    error = await refused(bus, "add_type", type="order_placed", schema=ORDER)
    trial = await bus.control("add_type", type="order_placed", schema=ORDER, dry_run=True)

    assert error.code == "owned"
    assert (trial["generation"], trial["owner"]) == (None, "the file 'hookbus.toml'")


async def test_before_any_settings_are_applied_a_type_is_not_added(bus: Bus) -> None:
    await bus.host_registry(Source())

    error = await refused(bus, "add_type", type="order_placed", schema=ORDER)

    assert error.code == "nothing_applied"
    assert "hookbus settings apply FILE" in str(error)


async def test_what_is_applied_says_which_types_refuse_events(bus: Bus) -> None:
    await bus.start()
    await bus.control("add_type", type="order_placed", schema=ORDER)
    await bus.control("add_type", type="order_lost", schema=ORDER)

    said = await bus.control(
        "apply", settings={"types": {"order_placed": {"schema": WIDER}}}, dry_run=True
    )

    verdicts = {change["type"]: change["verdict"] for change in said["types"]}
    assert verdicts == {"order_placed": "compatible", "order_lost": "refuses"}


async def test_two_types_that_are_added_at_once_are_both_known(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = await two(bus, monkeypatch, subjects.CONFIG_BUCKET)

    await both.cross(
        both.slow.settings.add_type("order_placed", ORDER, "ann", **PLAIN),
        both.other.settings.add_type("order_lost", ORDER, "bob", **PLAIN),
    )

    made = await both.other.settings.refresh()
    assert {"order_placed", "order_lost"} <= set(made.state.settings.types)


async def test_who_is_second_is_compared_with_what_the_first_has_made(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the slower one the type was new, so that it refused nobody."""
    both = await two(bus, monkeypatch, subjects.CONFIG_BUCKET)
    slow = asyncio.ensure_future(
        both.slow.settings.add_type("order_placed", STRICTER, "ann", **PLAIN)
    )

    await both.cross(slow, both.other.settings.add_type("order_placed", ORDER, "bob", **PLAIN))

    assert slow.result().made is None
    made = await both.other.settings.refresh()
    assert made.state.settings.types["order_placed"].json_schema == ORDER


async def test_a_trial_is_asked_for_by_true_alone(bus: Bus) -> None:
    await bus.start_registry()

    for slip in ("true", 1, [1]):
        for operation, members in (
            ("add_type", {"type": "order_placed", "schema": {}}),
            ("apply", {"settings": {}}),
        ):
            with pytest.raises(ControlError) as refused:
                await bus.control(operation, dry_run=slip, **members)
            assert (refused.value.code, refused.value.pointer) == ("invalid_request", "/dry_run")


async def test_true_and_one_are_two_values(bus: Bus) -> None:
    await bus.start_registry()
    await bus.control("add_type", type="order_placed", schema={"enum": [0, 1]})

    answer = await bus.control(
        "add_type", type="order_placed", schema={"enum": [False, True]}, dry_run=True
    )

    assert answer["types"][0]["verdict"] == "refuses"
    assert [change["key"] for change in answer["difference"]] == ["types.order_placed.schema"]
