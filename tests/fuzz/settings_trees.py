"""Random settings, as the JSON text of an applied tree or as a TOML file."""

from __future__ import annotations

import json
from random import Random

from tests.fuzz import hostile

TOP = (
    *("timeout_ms", "max_timeout_ms", "ready_timeout_ms", "max_event_bytes", "max_depth"),
    *("max_in_flight", "max_plugins", "trace_sampling", "replicas"),
)
WORDS = ('"on"', '"off"', '"auto"', '"always"', '"best_effort"', '"approve"', '"production"')
SCHEMAS = (
    *("{}", '{"type":"object"}', '{"type":"nope"}', '{"$ref":"#"}', '{"allOf":[{"$ref":"#"}]}'),
    *('{"$ref":"http://127.0.0.1:9/x"}', '{"$ref":"file:///etc/passwd"}', '{"$ref":"#/nowhere"}'),
    *(
        '{"pattern":"("}',
        '{"pattern":"(?=a)"}',
        r'{"pattern":"^(a+)+$"}',
        '{"pattern":"a{1,99999}"}',
    ),
    *('{"properties":1}', '{"$schema":"x"}', '{"$id":"http://x/","$ref":"y"}', '{"enum":[]}'),
    *(
        '{"properties":{"a":{"$ref":"#"}}}',
        '{"multipleOf":0}',
        '{"minLength":-1}',
        '{"format":"x"}',
    ),
    *('{"x-hookbus-secret":true}', '{"items":{"x-hookbus-secret":true}}', '{"maximum":1e308}'),
    *('{"$defs":{"a":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}', '{"$dynamicRef":"#x"}'),
    *('{"anyOf":' + "[" + ",".join(['{"$ref":"#/$defs/a"}'] * 2) + '],"$defs":{"a":{}}}', "true"),
)


def tree(random: Random) -> str:
    """A settings tree as JSON text."""
    members = [
        (f'"{name}"', _number(random)) for name in random.sample(TOP, random.choice((0, 0, 0, 1)))
    ]
    tables = {
        '"idempotency"': random.choice(WORDS),
        '"mode"': random.choice(('"development"', *WORDS)),
        '"observe"': random.choice(WORDS),
        '"breaker"': _table(random, ("failures", "open_ms", "max_open_ms")),
        '"patch"': _table(random, ("max_ops", "max_growth")),
        '"streams"': hostile.written([('"DECISIONS"', _stream(random))]),
        '"plugins"': hostile.written([(_plugin_name(random), _plugin(random))]),
    }
    chosen = random.sample(sorted(tables), random.choice((0, 0, 0, 1, 2)))
    members += [(name, tables[name]) for name in chosen]
    members.append(('"types"', hostile.written([(_type_name(random), _type(random))])))
    return hostile.written(hostile.disturbed(random, members) if random.random() < 0.1 else members)


def toml(random: Random) -> str:
    """A settings file: tables of random values, some of it no TOML at all."""
    lines = [f"{name} = {_toml(random)}" for name in random.sample(TOP, random.choice((0, 1, 2)))]
    if random.random() < 0.5:
        lines.append(f"mode = {random.choice(WORDS)}")
    sections = (
        *(
            "breaker",
            "patch",
            "streams.DECISIONS",
            "types.thing",
            'types."a.b"',
            "plugins.a.config",
        ),
        *(
            "plugins.a.hooks.b",
            "plugins.a",
            "types",
            "plugins",
            "[types]",
            "nope",
            'types."é"',
            "a.b.c",
        ),
    )
    keys = (
        *(
            "failures",
            "open_ms",
            "max_growth",
            "max_ops",
            "max_age",
            "max_bytes",
            "timeout_ms",
            "x",
        ),
        *(
            "conflict",
            "secret",
            "schema",
            "manifest",
            "type",
            "phase",
            "when",
            "priority",
            '"é"',
            "a.b",
        ),
    )
    for section in random.sample(sections, random.choice((0, 1, 2, 3))):
        lines.append(f"[{section}]")
        lines += [
            f"{key} = {_toml(random)}" for key in random.sample(keys, random.choice((0, 1, 2)))
        ]
    return "\n".join(lines) + "\n"


def _toml(random: Random) -> str:
    values = (
        *(
            "0",
            "10",
            "0x" + "f" * 5_000,
            "0b1",
            "1e400",
            "inf",
            "nan",
            "-1",
            "1_000",
            "9" * 400,
            "9" * 5_000,
        ),
        *(
            "1979-05-27",
            "07:32:00",
            "true",
            '"7d"',
            '"999999999999d"',
            '"1GiB"',
            '"999999999999TiB"',
        ),
        *(
            "[]",
            "[1, 'a']",
            "{a = 1}",
            "[" * 500 + "]" * 500,
            "'/a'",
            "['/a', '~']",
            '"block"',
            "''",
        ),
        *(
            '"\\ud800"',
            '"\\u0000"',
            '"\0"',
            "'''x",
            '{ type = "object" }',
            '{ "$ref" = "#" }',
            "1e308",
        ),
        *('"nowhere.json"', '"/dev/null"', '"."', '["true"]', '["data.a ==", "x"]'),
    )
    return random.choice(values)


def _number(random: Random) -> str:
    if random.random() < 0.5:
        return random.choice(hostile.NUMBERS)
    return random.choice(("10", "1000", "1e308", "9007199254740991", '"64KiB"', "null", "1.5"))


def _table(random: Random, keys: tuple[str, ...]) -> str:
    return hostile.written([(f'"{key}"', _number(random)) for key in random.sample(keys, 1)])


def _stream(random: Random) -> str:
    text = random.choice(('"1d"', '"999999999999d"', '"1 nope"', "1e308", "0", '"999999999999TiB"'))
    return hostile.written([(random.choice(('"max_age"', '"max_bytes"')), text)])


def _type_name(random: Random) -> str:
    return json.dumps(
        random.choice((*("thing",) * 20, "message_received", "a.b.c", *hostile.TOKENS))
    )


def _plugin_name(random: Random) -> str:
    return json.dumps(random.choice((*("fuzz",) * 20, "named", *hostile.TOKENS)))


def _type(random: Random) -> str:
    members = {
        '"schema"': random.choice(
            (*SCHEMAS, *SCHEMAS, hostile.value(random), _deep_schema(random))
        ),
        '"timeout_ms"': _number(random),
        '"max_timeout_ms"': _number(random),
        '"max_rounds"': _number(random),
        '"conflict"': '"block"',
        '"secret"': json.dumps([hostile.pointer(random)]),
    }
    return hostile.written([(name, members[name]) for name in random.sample(sorted(members), 1)])


def _deep_schema(random: Random) -> str:
    depth = random.choice(hostile.DEPTHS[:-1])
    return '{"items":' * depth + random.choice(SCHEMAS) + "}" * depth


def _plugin(random: Random) -> str:
    hook = [('"type"', '"thing"'), ('"phase"', '"validate"'), ('"priority"', _number(random))]
    members = {
        '"config"': hostile.value(random),
        '"manifest"': hostile.string(random),
        '"hooks"': hostile.written([(_plugin_name(random), hostile.written(hook))]),
    }
    return hostile.written([(name, members[name]) for name in random.sample(sorted(members), 1)])
