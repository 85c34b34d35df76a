"""docs/protocol.md shows the permissions and the credentials file as they are."""

from __future__ import annotations

import json
import re

from hookbus.config.credentials import Credentials
from hookbus.identity.permissions import KINDS, ROLES, permissions_of
from tests.docs.page import Page


def quoted(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def test_the_page_lists_what_each_kind_may_do(page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.rows("kind")}

    assert tuple(rows) == KINDS
    for kind in KINDS:
        publishes, subscribes, replies = rows[kind]
        allowed = permissions_of(
            kind, kind if kind in ROLES else "NAME", ["PLUGIN"] if kind == "runner" else []
        )
        assert quoted(publishes) == allowed.publish, kind
        assert quoted(subscribes) == allowed.subscribe, kind
        assert replies == ("16 in 2 min" if allowed.may_respond else "none"), kind


def test_the_credentials_of_the_page_have_all_members_and_no_other(page: Page) -> None:
    shown = page.value("credentials")

    written = Credentials(shown["kind"], shown["principal"], shown["seed"]).to_json()

    assert json.loads(written) == shown
