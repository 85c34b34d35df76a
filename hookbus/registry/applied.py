"""The applied settings: what the configuration was made of, and who owns it. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from hookbus.config.flatten import flatten
from hookbus.config.settings import Origins, Settings, parse_settings, to_tree


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """Settings in force, as they are kept in the configuration's document.

    Attributes:
        tree: what was written, as a file or an ``apply`` has it.
        source: where it was written, for people; *fields* are those that came from elsewhere.
        owner: the file that owns the configuration, so that nobody else may change it; or None.
        instead_of: digest of the settings that the registry was started with when others were
            applied in their place; they win again once they say something else.
    """

    tree: dict[str, Any]
    source: str
    fields: dict[str, str] = {}
    owner: str | None = None
    instead_of: str = ""

    @classmethod
    def of(cls, settings: Settings, owner: str | None = None) -> Applied:
        """Take settings as they were read."""
        origins = settings.origins
        return cls(
            tree=to_tree(settings),
            source=origins.source,
            fields=dict(origins.fields),
            owner=owner,
            instead_of=digest_of(settings),
        )

    def settings(self) -> Settings:
        """Check and read the tree.

        Raises:
            SettingsError: Another version of the bus wrote it.
        """
        return parse_settings(self.tree, Origins(self.source, self.fields))


def encode_applied(applied: Applied) -> msgspec.Raw:
    """Encode; equal ones give equal bytes."""
    return msgspec.Raw(msgspec.json.encode(applied, order="deterministic"))


def decode_applied(encoded: msgspec.Raw) -> Applied | None:
    """Undo :func:`encode_applied`; null is None.

    Raises:
        msgspec.DecodeError: Another version of the bus wrote it.
    """
    return msgspec.json.decode(encoded, type=Applied | None)


def digest_of(settings: Settings) -> str:
    """Digest the values, wherever they come from."""
    values = [[row.key, row.value] for row in flatten(settings)]
    encoded = msgspec.json.encode(values, order="sorted", enc_hook=str)
    return hashlib.sha256(encoded).hexdigest()
