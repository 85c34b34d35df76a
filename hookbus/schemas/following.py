"""Whether a new schema follows from what old ones say; if not, where not. Pure.

Nothing found means that it follows. What is found may follow all the same: each finding has values
with which to try it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from hookbus.schemas.alone import (
    Finding,
    Findings,
    alone,
    cannot_tell,
    is_same,
    one_by_one,
    quoted,
    split,
)
from hookbus.schemas.facts import Facts, Part
from hookbus.schemas.trying import all_of, in_array, in_member, typical

MAX_STEPS: Final = 2_000  # of one comparison
MAX_CASES: Final = 64  # of one `anyOf`
MAX_FOUND: Final = 100  # at one place


class TooMuch(Exception):
    """The schemas are too large to be compared."""


class Following:
    """One comparison."""

    def __init__(self) -> None:
        self._steps = 0
        self._asked: dict[tuple[object, ...], int] = {}
        self._told: dict[tuple[object, ...], list[Finding]] = {}
        self._taken_on_trust = 0

    def findings(self, old: tuple[Part, ...], new: Part, depth: int = 0) -> list[Finding]:
        """Say why *new* does not follow from *old*; *depth* is how deep in the data they stand.

        Raises:
            TooMuch: It takes too long to tell.
            ValueError: A schema cannot be compiled.
        """
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooMuch
        key = (frozenset(map(_key, old)), new.pointer)
        if key in self._told:
            return self._told[key]
        if key in self._asked:
            self._taken_on_trust += 1
            # what contains itself follows if all else does, but only from one level to the next
            if self._asked[key] < depth:
                return []
            return [Finding(new.pointer, "refers to itself")]
        self._asked[key] = depth
        before = self._taken_on_trust
        found = self._findings(old, new, depth)
        del self._asked[key]
        if self._taken_on_trust == before:  # else it may only hold below what is still asked
            self._told[key] = found
        return found

    def _findings(self, old: tuple[Part, ...], new: Part, depth: int) -> list[Finding]:
        facts = Facts(old)
        if new.schema is True or new.schema == {} or facts.is_nothing or not facts.kinds:
            return []
        if new.schema is False:
            return [Finding(new.pointer, "nothing fits any more", partial(typical, facts))]
        if facts.values is not None:
            return one_by_one(facts.values, new)
        if any(is_same(part, new) for part in facts.parts):
            return []
        found = list(self._keywords(facts, new, depth))
        if found and (cases := facts.alternatives()) is not None and len(cases) <= MAX_CASES:
            found = [one for case in cases for one in self.findings(case, new, depth)]
        return list({(one.pointer, one.message): one for one in found}.values())[:MAX_FOUND]

    def _keywords(self, facts: Facts, new: Part, depth: int) -> Findings:
        yield from alone(facts, new)
        yield from self._in_place(facts, new, depth)
        if "array" in facts.kinds:
            yield from self._items(facts, new, depth)
        if "object" in facts.kinds:
            yield from self._members(facts, new, depth)

    def _in_place(self, facts: Facts, new: Part, depth: int) -> Findings:
        """Look at what other schemas say about the same value."""
        if "$ref" in new.schema:
            target = new.target
            if target is None:
                yield cannot_tell(facts, new, "$ref")
            else:
                yield from self.findings(facts.said, target, depth)
        for index in range(len(new.schema.get("allOf", ()))):
            yield from self.findings(facts.said, new.at("allOf", index), depth)
        if "anyOf" in new.schema:
            yield from self._any_of(facts, new, depth)

    def _any_of(self, facts: Facts, new: Part, depth: int) -> Findings:
        branches = [new.at("anyOf", index) for index in range(len(new.schema["anyOf"]))]
        wrong: list[Finding] = []
        for branch in branches:
            found = self.findings(facts.said, branch, depth)
            if not found:
                return
            wrong += found
        for kinds in split(facts):
            said = (*facts.parts, Part({"type": kinds}))
            if all(self.findings(said, branch, depth) for branch in branches):
                break
        else:
            return
        tried = partial(all_of, [one.tried for one in wrong])
        yield Finding(f"{new.pointer}/anyOf", "not all that fitted seems to fit one of it", tried)

    def _items(self, facts: Facts, new: Part, depth: int) -> Findings:
        own = len(new.schema.get("prefixItems", ()))
        most = facts.lowest("maxItems")
        for index in range(own):
            if most is None or index < most:
                part = new.at("prefixItems", index)
                yield from self._item(facts, part, index, depth)
        if "items" in new.schema and (most is None or own < most):
            part = new.at("items")
            for index in range(own, facts.longest_prefix):
                yield from self._item(facts, part, index, depth)
            yield from self._item(facts, part, None, depth)

    def _item(self, facts: Facts, new: Part, index: int | None, depth: int) -> Findings:
        for one in self.findings(facts.item(index), new, depth + 1):
            yield replace(one, tried=partial(in_array, facts, index, one.tried))

    def _members(self, facts: Facts, new: Part, depth: int) -> Findings:
        named = new.schema.get("properties", {})
        for name in named:
            part = new.at("properties", name)
            yield from self._member(facts, facts.member(name), part, name, depth)
        patterns = new.schema.get("patternProperties", {})
        for pattern in patterns:
            part = new.at("patternProperties", pattern)
            if same := facts.pattern(pattern):
                yield from self._member(facts, same, part, None, depth)
            else:  # it may match any name
                yield from self._all_members(facts, part, (), frozenset(), depth)
        if "additionalProperties" in new.schema:
            part = new.at("additionalProperties")
            yield from self._all_members(facts, part, named, frozenset(patterns), depth)

    def _all_members(
        self,
        facts: Facts,
        new: Part,
        but: Iterable[str],
        patterns: frozenset[str],
        depth: int,
    ) -> Findings:
        for name in facts.names:
            if name not in but:
                yield from self._member(facts, facts.member(name), new, name, depth)
        yield from self._member(facts, facts.other(patterns), new, None, depth)

    def _member(
        self, facts: Facts, old: tuple[Part, ...], new: Part, name: str | None, depth: int
    ) -> Findings:
        for one in self.findings(old, new, depth + 1):
            what = one.message
            if one.pointer == new.pointer and new.schema is False:
                what = f"{quoted(name)} is refused now" if name else "other fields are refused"
            elif not old:
                said = "other fields" if name is None else quoted(name)
                what = f"{said} could hold anything before: {what}"
            yield Finding(one.pointer, what, partial(in_member, facts, name, one.tried))


def _key(part: Part) -> tuple[str, object]:
    """Tell schemas apart: of two that stand at the same place one may have been split."""
    if part.root is None or not isinstance(part.schema, dict):
        return part.pointer, repr(part.schema)
    return part.pointer, frozenset(part.schema)
