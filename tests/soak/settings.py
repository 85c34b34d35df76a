"""The configurations: random settings, and what a generation is for the model. Pure."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from hookbus.snapshot import Binding, ConfigDocument
from tests.model.hookbus_side import MAX_REPLY_BYTES
from tests.model.values import Check, Hook, Settings, Type
from tests.soak.behaviour import PLUGINS, TYPE

CHECKS: Final = {
    check.text: check
    for check in (
        Check(True),
        Check(False),
        Check("error"),
        Check(1, "n"),
        Check(2, "n"),
        Check("x", "s"),
        Check("u1", "user"),
    )
}
SECRET: Final = "/user"
#: Every number is an integer, whatever the plugins make of it.
SCHEMA: Final = {"properties": {"n": {"type": "integer"}}}
#: What makes a hook unlike the others, as option and value.
OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    *[("priority", 10)] * 2,
    *[("priority", 30)] * 2,
    ("timeout_ms", 150),
    ("timeout_ms", 300),
    ("timeout_ms", 1_000),
    ("min_ms", 1),
    ("min_ms", 103),
    *[("mode", "warn")] * 2,
    ("mode", "shadow"),
    ("mode", "off"),
    *[("side_effects", "none_on_dry_run")] * 2,
    *[("side_effects", "some")] * 2,
    ("when", ["true"]),
    ("when", ["true", "false", "data.nowhere == 1"]),
    ("when", ["data.nowhere == 1", "true"]),
    *[("when", ["data.n == 1"])] * 2,
    ("when", ['data.s == "x"', "data.n == 2"]),
    ("when", ['data.user == "u1"']),
    ("writable", ["/n", "/s"]),
    ("writable", ["/o", "/l"]),
    ("writable", ["/o/x"]),
    *[("disallow", "ignore")] * 3,
    ("rewrites", [""]),
    ("rewrites", ["/n", "/o/x"]),
    *[("cache_ttl_ms", 700)] * 2,
    *[("cache_ttl_ms", 2_500)] * 2,
    ("cache_key", ["/user"]),
    ("cache_key", ["/n", "/s"]),
    *[("retry", 1)] * 3,
    ("retry", 2),
    *[("max_extension_ms", 150)] * 3,
)
PHASES_OF: Final = {"cache_ttl_ms": "validate", "cache_key": "validate"}


def make_settings(random: Random) -> dict[str, Any]:
    """Random settings of a production bus, as an operator applies them."""
    return {
        "mode": "production",
        "audit": random.choice(["best_effort", "best_effort", "required"]),
        "idempotency": random.choice(["on", "on", "on", "off"]),
        "max_depth": random.choice([5, 5, 3]),
        "breaker": {"failures": random.choice([3, 5]), "open_ms": 500, "max_open_ms": 2_000},
        "types": {TYPE: _make_type(random)},
        "plugins": {
            plugin: {"hooks": {name: _make_hook(random, phase) for name, phase in hooks.items()}}
            for plugin, (_, hooks) in PLUGINS.items()
        },
    }


def _make_type(random: Random) -> dict[str, Any]:
    return {
        "conflict": random.choice(["last_wins"] * 5 + ["block"]),
        "on_not_converged": random.choice(["block", "accept", "accept"]),
        "max_rounds": random.choice([1, 2, 2, 3]),
        **({"schema": SCHEMA} if random.random() < 0.3 else {}),
        **({"secret": [SECRET]} if random.random() < 0.3 else {}),
    }


def _make_hook(random: Random, phase: str) -> dict[str, Any]:
    hook = {"type": random.choice([TYPE, TYPE, ">", "*"]), "phase": phase}
    if phase == "observe":
        return hook
    options = [random.choice(OPTIONS) for _ in range(random.randint(0, 3))]
    # a closed one that may write little, or whose conditions fail, would block nearly everything
    is_strict = {"when", "writable"} & {name for name, _ in options}
    closed = random.random() < (0.1 if is_strict else 0.3)
    return {
        **hook,
        "timeout_ms": 400,
        "max_reply_bytes": MAX_REPLY_BYTES,
        "on_failure": "closed" if closed else "open",
        "reinvoke": random.choice(["if_needed", "never"]),
        **{name: v for name, v in options if PHASES_OF.get(name, phase) == phase},
    }


def fits(data: Any) -> bool:
    """Tell whether data fits the schema."""
    number = data.get("n", 0)
    return isinstance(number, int) and not isinstance(number, bool)


def settings_of(generation: int, document: ConfigDocument) -> Settings:
    """Return one generation as the model knows it."""
    said = document.types[TYPE]
    return Settings(
        hooks=tuple(_hook_of(b) for b in document.bindings if b.phase != "observe"),
        type=Type(said.conflict, said.on_not_converged, said.max_rounds, said.schema == SCHEMA),
        generation=generation,
        max_depth=document.limits.max_depth,
        breaker_failures=1_000_000,  # breakers are the world's: see tests/soak/replay.py
    )


def _hook_of(binding: Binding) -> Hook:
    names = set(Hook.__dataclass_fields__) - {"name", "script", "when"}
    options = {name: getattr(binding, name) for name in names}
    when = tuple(CHECKS[text] for text in binding.when)
    return Hook(name=binding.hook, when=when, **options)
