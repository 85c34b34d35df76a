"""Random replies: honest verdicts with something wrong in them, and patches of every kind."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.fuzz import hostile
from tests.fuzz.inputs import parts

HEADERS = ("Status", "Nats-Service-Error", "Nats-Service-Error-Code", "Description", "x")
WORDS = ("continue", "continue", "intercept", "intercept", "intercept", "block", "extend", "error")
SUBJECTS = (
    *("@PREFIX@.m-open", "@PREFIX@.", "@PREFIX@", "@REPLY@.x", "hookbus.reply.x.y.m-closed"),
    *("@PREFIX@.M-CLOSED", "_INBOX.x", "@PREFIX@.*", "hookbus.reply"),
)


def random_reply(random: Random, role: str, data: Any) -> dict[str, Any]:
    """Fields of one reply of the plugin *role* to a call about *data*."""
    members = _honest(random, role, data)
    if random.random() < 0.6:
        members = hostile.disturbed(random, members)
    body = hostile.written(members).encode("utf-8", "surrogatepass")
    fields: dict[str, Any] = {"body": parts(hostile.damaged(random, body))}
    headers = hostile.headers(random, HEADERS) if random.random() < 0.3 else None
    if headers:
        fields["headers"] = headers
    if random.random() < 0.05:
        fields["subject"] = random.choice(SUBJECTS)
    return fields


def _honest(random: Random, role: str, data: Any) -> hostile.Members:
    word = random.choice(WORDS)
    members = [
        ('"v"', "1"),
        ('"call"', '"@CALL@"'),
        ('"attempt"', "1"),
        ('"plugin"', json.dumps(role)),
        ('"version"', '"1.0.0"'),
        ('"verdict"', json.dumps(word)),
    ]
    if word == "intercept":
        kind = random.choice(("patch", "patch", "patch", "merge", "data"))
        text = _patch(random, data) if kind == "patch" else hostile.sane(random)
        members.append((json.dumps(kind), text))
    elif word == "extend":
        members.append(('"extend_ms"', random.choice(("10", "200", "-1", *hostile.NUMBERS))))
    extra = {
        '"reason"': (hostile.string(random), '"no"'),
        '"code"': (hostile.string(random), '"overloaded"'),
        '"message"': (hostile.string(random),),
        '"warnings"': ('["a"]', hostile.value(random)),
        '"annotations"': ('{"a":"b"}', hostile.value(random)),
        '"unknown"': (hostile.value(random), hostile.deep(random)),
    }
    chosen = random.sample(sorted(extra), random.choice((0, 0, 1, 2)))
    members += [(name, random.choice(extra[name])) for name in chosen]
    if random.random() < 0.15:
        random.shuffle(members)
    return members


def _patch(random: Random, data: Any) -> str:
    """Operations that mostly hit something, some of them amplifying."""
    roll = random.random()
    if roll < 0.03:
        return _doubling(random)
    if roll < 0.05:
        many = random.choice((255, 256, 257, 2_000))
        return "[" + ",".join(['{"op":"test","path":"","value":1}'] * many) + "]"
    count = random.choice((0, 1, 1, 2, 3, 6))
    return "[" + ",".join(_operation(random, data) for _ in range(count)) + "]"


def _operation(random: Random, data: Any) -> str:
    word = random.choice(("add", "add", "remove", "replace", "move", "copy", "test", "test", "Add"))
    members = [('"op"', json.dumps(word)), ('"path"', json.dumps(_path(random, data)))]
    if word in ("move", "copy"):
        members.append(('"from"', json.dumps(_path(random, data))))
    if word in ("add", "replace", "test"):
        members.append(('"value"', hostile.sane(random, 3)))
    return hostile.written(hostile.disturbed(random, members) if random.random() < 0.1 else members)


def _doubling(random: Random) -> str:
    """A few bytes that want to become megabytes: each copy takes all that is there so far."""
    times = random.choice((5, 20, 60, 250))
    copies = [f'{{"op":"copy","from":"","path":"/k{number}"}}' for number in range(times)]
    return '[{"op":"add","path":"","value":{"a":"' + "x" * 200 + '"}},' + ",".join(copies) + "]"


def _path(random: Random, data: Any) -> str:
    """A pointer into *data*, to just beside it, or to nowhere."""
    if random.random() < 0.15:
        return hostile.pointer(random)
    path, node = "", data
    while isinstance(node, (dict, list)) and node and random.random() < 0.75:
        key: Any = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
        path += "/" + str(key).replace("~", "~0").replace("/", "~1")
        node = node[key]
    if random.random() < 0.3:
        path += "/" + random.choice(("new", "-", "0", "1", "3", "01", "~", "~1", "a", ""))
    return path
