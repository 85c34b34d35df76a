"""The account that a nats-server includes: every user with its public key and permissions. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import msgspec

from hookbus.identity.permissions import (
    MAX_RESPONSES,
    RESPONSES_EXPIRE,
    Kind,
    Permissions,
    permissions_of,
    principal_of,
)

ACCOUNT: Final = "HOOKBUS"

_HEAD: Final = f"""\
# Written by 'hookbus credentials': what is changed here is lost. No secrets are in it.
# It belongs into the accounts of a nats-server: accounts {{ include "<this file>" }}
{ACCOUNT} {{
  jetstream: enabled
  users: [
"""
_TAIL: Final = "  ]\n}\n"


class User(msgspec.Struct, frozen=True):
    """One credential as the broker's side knows it. *since* is when its key was made, in UTC.

    Attributes:
        plugins: what a runner runs.
    """

    name: str
    kind: Kind
    public_key: str
    since: str
    plugins: tuple[str, ...] = ()

    @property
    def principal(self) -> str:
        return principal_of(self.kind, self.name)


def account_config(users: Iterable[User]) -> str:
    """Write the account's text; equal users give equal text."""
    return _HEAD + "".join(map(_user, users)) + _TAIL


def _user(user: User) -> str:
    allowed = permissions_of(user.kind, user.principal, user.plugins)
    lines = [
        f"    # {user.kind} {user.name}",
        f"    {{ nkey: {user.public_key}",
        "      permissions: {",
        *_lists(allowed),
        "      } }",
    ]
    return "\n".join(lines) + "\n"


def _lists(allowed: Permissions) -> Iterable[str]:
    yield f"        publish: {{ allow: {json.dumps(allowed.publish)} }}"
    yield f"        subscribe: {{ allow: {json.dumps(allowed.subscribe)} }}"
    if allowed.may_respond:
        limits = f'max: {MAX_RESPONSES}, expires: "{RESPONSES_EXPIRE}"'
        yield f"        allow_responses: {{ {limits} }}"
