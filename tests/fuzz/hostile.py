"""What nobody should send: JSON texts, numbers, strings, headers, bytes; from a seeded random."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random

#: A JSON object as it will be written: keys and values are JSON texts, so that both can be wrong.
Members = list[tuple[str, str]]

NUMBERS = (
    *(
        "0",
        "-0",
        "-0.0",
        "1",
        "1.0",
        "1e0",
        "1E5",
        "0.1e-400",
        "1e400",
        "-1e400",
        "1e-400",
        "2",
        "9",
    ),
    *("10", "100", "1000", "0.5", "-1", "255", "65536", "9007199254740993", "9223372036854775807"),
    *("9223372036854775808", "18446744073709551616", "1180591620717411303424", "-" + "9" * 25),
    *("9" * 400, "9" * 4300, "9" * 5000, "01", "+1", "1.", ".5", "1e", "0x10", "1_0", "١"),
    *("NaN", "Infinity", "-Infinity", "-", "1e999999999999"),
)
STRINGS = (
    *('""', '"a"', '"text"', r'"\u0000"', r'"\ud800"', r'"\udc00"', r'"\ud800\ud800 some more"'),
    *(r'"\ud83d\ude00"', '"\U0001f600"', r'"\\ud800"', r'"\q"', r'"\u12"', '"\x01"', '"\t"', '"'),
    *("'a'", '"\u202e"', '"\ufeff"', '"\ufffe"', '"\x7f"', r'"\/"', '"a.b"', '"*"', '">"', '"a b"'),
    *('"message_received"', '"1.0"', '"1"', '"true"', '"null"', '"../../etc/passwd"', '"$ref"'),
    *('"' + "x" * 1_001 + '"', '"' + "é" * 300 + '"', '"' + "\U0001f600" * 2_000 + '"'),
)
WORDS = (
    *("a", "b", "text", "x", "", "0", "-", "a/b", "m~n", "~", "~0", "~2", "list", "deep", "n"),
    *("\u0000", "é", "\U0001f600", "__proto__", "constructor", "$ref", "data", "event", "k" * 300),
)
DEPTHS = (2, 10, 60, 61, 62, 63, 64, 65, 66, 67, 70, 200, 990, 1_100, 20_000)
BYTES = (
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xc0\x80",
    b"\0",
    b"\r\n",
)
TOKENS = (
    "hookbus",
    "a",
    "*",
    ">",
    "A",
    "a_b",
    "é",
    "a" * 64,
    "-a",
    "0",
    "$JS",
    "_INBOX",
    "a*",
    "a>",
)


def one(random: Random, choices: Sequence[Callable[[], str]]) -> str:
    return random.choice(choices)()


def string(random: Random) -> str:
    """A JSON string's text, often wrong."""
    if random.random() < 0.4:
        return json.dumps(random.choice(WORDS), ensure_ascii=random.random() < 0.5)
    return random.choice(STRINGS)


def pointer(random: Random) -> str:
    """A JSON Pointer, often wrong: unescaped, relative, unreachable."""
    tokens = [
        random.choice((*WORDS, "00", "1", "-1", "2", "1_0", "٣", "9" * 5000)) for _ in range(3)
    ]
    text = "".join("/" + token for token in tokens[: random.randrange(4)])
    return text[1:] if random.random() < 0.1 else text


def deep(random: Random, inner: str = "1") -> str:
    depth = random.choice(DEPTHS)
    if random.random() < 0.5:
        return "[" * depth + inner + "]" * depth
    if random.random() < 0.1:
        return "[" * depth
    return '{"a":' * depth + inner + "}" * depth


def value(random: Random, depth: int = 0) -> str:
    """Any JSON text, now and then one that is none."""
    roll = random.random()
    if depth < 4 and roll < 0.15:
        return "[" + ",".join(value(random, depth + 1) for _ in range(random.randrange(4))) + "]"
    if depth < 4 and roll < 0.35:
        return written(
            [(string(random), value(random, depth + 1)) for _ in range(random.randrange(4))]
        )
    if roll < 0.37:
        return deep(random)
    if roll < 0.5:
        return random.choice(("true", "false", "null", "nul", "True", "[,]", "{}", "[]", '{"a"}'))
    return random.choice(NUMBERS) if roll < 0.75 else string(random)


def sane(random: Random, depth: int = 0) -> str:
    """JSON that every parser takes; duplicates may be in it."""
    roll = random.random()
    if depth < 5 and roll < 0.25:
        return "[" + ",".join(sane(random, depth + 1) for _ in range(random.randrange(4))) + "]"
    if depth < 5 and roll < 0.6:
        words = (random.choice(WORDS) for _ in range(random.randrange(5)))
        return written([(json.dumps(word), sane(random, depth + 1)) for word in words])
    if roll < 0.8:
        return json.dumps(random.choice(WORDS))
    return random.choice(("true", "false", "null", "0", "1", "1.0", "-1", "2.5", "1e3", "-0"))


def written(members: Members) -> str:
    return "{" + ",".join(f"{key}:{text}" for key, text in members) + "}"


def disturbed(random: Random, members: Members) -> Members:
    """Change a few members of an honest object: their values, their order, their number."""
    changed = list(members)
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        index = random.randrange(len(changed)) if changed else 0
        roll = random.random()
        if not changed or roll < 0.2:
            changed.insert(index, (string(random), value(random)))
        elif roll < 0.55:
            changed[index] = (changed[index][0], value(random))
        elif roll < 0.7:
            del changed[index]
        elif roll < 0.85:  # a repeated key: the last counts
            changed.insert(random.randrange(len(changed) + 1), (changed[index][0], value(random)))
        elif roll < 0.95:
            changed.append(changed[index])
        else:
            changed[index] = (changed[index][0].swapcase(), changed[index][1])
    return changed


def damaged(random: Random, data: bytes) -> bytes:
    """Change some bytes, or none."""
    roll = random.random()
    if roll < 0.85:
        return data
    place = random.randrange(len(data) + 1)
    if roll < 0.88:
        return data[:place]
    if roll < 0.91:
        return data[:place] + random.choice(BYTES) + data[place:]
    if roll < 0.93:
        return data[:place] + bytes([random.randrange(256)]) + data[place + 1 :]
    if roll < 0.95:
        return b"\xef\xbb\xbf" + data
    if roll < 0.97:
        return data + random.choice((b" ", b"\n", b"{}", b",", b"\0", b"//x"))
    return random.choice(
        (b"", b" ", b"null", b"[]", b"{}", b"0", b'""', data.decode("latin-1").encode("utf-16"))
    )


def headers(random: Random, names: Sequence[str]) -> dict[str, str] | None:
    """Some headers, their names now and then in another case; None mostly."""
    if random.random() < 0.7:
        return None
    values = (
        "",
        " ",
        "1",
        "503",
        "400",
        "true",
        "é",
        "%ff",
        "%00",
        "x" * 3_000,
        "9" * 20,
        "1.0",
        "a,b",
    )
    return {
        random.choice((name, name, name.lower(), name.upper())): random.choice(values)
        for name in random.sample(names, random.randrange(1, min(5, len(names))))
    }
