"""What other settings mean for those who send events: does what fitted still fit? Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hookbus.catalog import BUILT_IN
from hookbus.config.settings import Settings
from hookbus.errors import ControlError, SettingsError
from hookbus.manifest.problems import join
from hookbus.patches.values import equal
from hookbus.registry.applied import Applied, digest_of
from hookbus.schemas.compare import Change, Comparison, Verdict, compare

_GONE: Final = Comparison(
    verdict="refuses",
    changes=(
        Change(
            pointer="",
            message="not a type of this bus any more: every event of it is refused",
            verdict="refuses",
        ),
    ),
)


class TypeChange(msgspec.Struct, frozen=True, kw_only=True):
    """One type whose schema is another one.

    Attributes:
        verdict: ``compatible``, ``refuses`` or ``unknown``, as :func:`hookbus.schemas.compare` has
            it; ``changes`` say why.
    """

    type: str
    verdict: Verdict
    changes: tuple[Change, ...] = ()


def type_changes(before: Settings, after: Settings) -> list[TypeChange]:
    """Compare the schemas of all types that were known; a new type refuses nobody's events."""
    old, new = schemas(before), schemas(after)
    found = []
    for name, schema in old.items():
        if name not in new:
            said = _GONE
        elif equal(new[name], schema):
            continue
        else:
            said = compare(schema, new[name])
        found.append(TypeChange(type=name, verdict=said.verdict, changes=said.changes))
    return found


def schemas(settings: Settings) -> dict[str, Mapping[str, Any] | None]:
    """The schema of every known type; None is any JSON."""
    found: dict[str, Mapping[str, Any] | None] = dict(BUILT_IN)
    for name, said in settings.types.items():
        if said.json_schema is not None or name not in found:
            found[name] = said.json_schema
    return found


class TypeEdit:
    """Another schema for one type, and nothing else: made of whatever settings are in force.

    Attributes:
        before, after: what it was worked out on the last time, and what it makes of that.
        is_held: it is not made, because events that fitted may be refused.
    """

    def __init__(self, name: str, schema: dict[str, Any], source: str, *, is_forced: bool) -> None:
        self._name = name
        self._schema = schema
        self._source = source
        self._is_forced = is_forced
        self.before: Applied
        self.after: Applied
        self.is_held = False

    def settle(self, current: Applied | None) -> Applied:
        """Say which settings are to be in force after *current*.

        Raises:
            ControlError: There are none, or the schema cannot be used.
        """
        if current is None:
            raise ControlError(
                "no settings are applied yet; next: hookbus settings apply FILE",
                code="nothing_applied",
            )
        self.before = self.after = current
        new = self._edited(current)
        if digest_of(new.settings()) == digest_of(current.settings()):
            self.is_held = False
            return current
        self.after = new
        changes = type_changes(current.settings(), new.settings())
        is_safe = all(change.verdict == "compatible" for change in changes)
        self.is_held = not (is_safe or self._is_forced)
        return current if self.is_held else new

    def _edited(self, current: Applied) -> Applied:
        types = current.tree.get("types") or {}
        section = {**(types.get(self._name) or {}), "schema": self._schema}
        tree = {**current.tree, "types": {**types, self._name: section}}
        fields = {**current.fields, join("types", self._name, "schema"): self._source}
        new = msgspec.structs.replace(current, tree=tree, fields=fields)
        try:
            new.settings()
        except SettingsError as e:
            raise ControlError(str(e), code="invalid_settings", pointer="/schema") from e
        return new
