"""Payload models in Python, made of schemas. Pure.

A model must take all that the schema takes: the bus has checked the event before, and a model that
is stricter makes its plugin fail. So it is made of what surely follows from the schema, and is
lenient where that says nothing. `datamodel-code-generator` is a good library for APIs; here it
would bring in a dozen packages, and its models are stricter than a schema in places (constraints,
formats, `int` for 1e30), which is just what must not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hookbus.cli.types.python_names import class_name, comment, docstring, field_name, literal
from hookbus.schemas.facts import KINDS, Facts, Part

LINE: Final = 88  # columns, as formatters have it if they are told nothing
MAX_MODELS: Final = 500  # of one type
MAX_CASES: Final = 6  # of one `anyOf` or `oneOf`
MAX_LEVELS: Final = 32
EXACT: Final = 2**53  # integers up to here are the same as floats
LARGEST: Final = 2**62  # pydantic takes floats for integers up to about here
SHORT: Final = 44  # columns of a Literal that stands in its field's line

#: Keywords that tell nothing about a value.
_NOTHING: Final = ("$ref", "$defs", "$schema", "$id", "title", "description", "examples", "default")

#: What the module has already, or may import.
_IMPORTED: Final = (
    *("Annotated", "Any", "BaseModel", "BeforeValidator", "ClassVar", "ConfigDict", "Field"),
    *("HookEvent", "Integer", "Literal", "Part", "Payload", "TypeAlias"),
    *("None", "True", "False"),
)

_HEAD: Final = '''\
"""Payloads of event types of this bus, for handlers: HookEvent[…].

Made by `hookbus types generate --python`: make it again when a type changes.
"""

from __future__ import annotations
'''
_PART: Final = '''\
class Part(BaseModel):
    """An object in a payload: frozen, further keys are allowed and kept."""

    model_config = ConfigDict(frozen=True, extra="allow")
'''
_INTEGER: Final = """\
def _whole(value: object) -> object:
    # 1e30 is an integer in JSON, and a float in Python
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integer: TypeAlias = Annotated[int, BeforeValidator(_whole)]
"""


def python_models(types: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Write a module with a model for each type; the same types give the same text."""
    module = _Module()
    for name in sorted(types):
        module.add(name, types[name])
    return module.text()


@dataclass
class _Module:
    """What is written so far, and what of other modules it needs."""

    blocks: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=lambda: set(_IMPORTED))
    needs: set[str] = field(default_factory=set)

    def add(self, event_type: str, schema: Mapping[str, Any] | None) -> None:
        facts = Facts(()) if schema is None else Facts((Part(schema, "", schema),))
        if facts.kinds != {"object"} or facts.is_nothing:
            self.blocks.append(
                f"{comment(f'{event_type}: no model, its data may be other than an object;')}\n"
                f"{comment('annotate the handler with HookEvent[Any]')}\n"
            )
            return
        _Type(self, event_type).model(facts)

    def name(self, *texts: str) -> str:
        """Choose a name for a class, and keep it from being chosen again."""
        wanted = class_name(*texts)
        name, count = wanted, 1
        while name in self.names:
            count += 1
            name = f"{wanted}{count}"
        self.names.add(name)
        return name

    def text(self) -> str:
        head = [_HEAD + "\n" + "\n".join(self._imports()) + "\n"]
        if "Integer" in self.needs:
            head.append(_INTEGER)
        if "Part" in self.needs:
            head.append(_PART)
        return "\n\n".join([*head, *self.blocks])

    def _imports(self) -> Iterator[str]:
        by_module = {
            "typing": {"Any", "ClassVar", "Literal"},
            "pydantic": {"Field"},
        }
        needs = {module: names & self.needs for module, names in by_module.items()}
        if "Integer" in self.needs:
            needs["typing"] |= {"Annotated", "TypeAlias"}
            needs["pydantic"] |= {"BeforeValidator"}
        if "TypeAlias" in self.needs:
            needs["typing"] |= {"TypeAlias"}
        if "Part" in self.needs:
            needs["pydantic"] |= {"BaseModel", "ConfigDict"}
        if needs["typing"]:
            yield f"from typing import {', '.join(sorted(needs['typing']))}"
            yield ""
        if "Payload" in self.needs:
            yield "from hookbus import Payload"
        if needs["pydantic"]:
            yield f"from pydantic import {', '.join(sorted(needs['pydantic']))}"


class _Type:
    """Writes the models of one event type."""

    def __init__(self, module: _Module, event_type: str) -> None:
        self._module = module
        self._event_type = event_type
        self._made: dict[frozenset[object], str] = {}

    def model(self, facts: Facts) -> None:
        """Write the type's own model, and those of the objects in it before."""
        name = self._module.name(self._event_type)
        self._module.needs |= {"Payload", "ClassVar"}
        self._made[_key(facts)] = name
        about = [f"    event_type: ClassVar[str] = {literal(self._event_type)}", ""]
        fields = self._fields(facts, name, 0)
        doc = _doc(facts) or f"Data of {self._event_type}."
        self._write(f"class {name}(Payload):", doc, [*about, *fields] if fields else about[:1])

    def _write(self, first: str, doc: str, lines: list[str]) -> None:
        body = [first, f"    {docstring(doc)}", *(["", *lines] if lines else [])]
        self._module.blocks.append("\n".join(body) + "\n")

    def _fields(self, facts: Facts, owner: str, level: int) -> list[str]:
        taken: set[str] = set()
        fair = {name for name in (*facts.names, *facts.required) if field_name(name, ()) == name}
        lines = []
        for text in dict.fromkeys((*facts.names, *facts.required)):
            member = Facts(facts.member(text))
            if member.is_nothing:
                continue  # it is never there
            name = text if text in fair else field_name(text, taken | fair)
            taken.add(name)
            annotation, why = self._annotation(member, (owner, text), level + 1)
            lines += _field(name, text, annotation, why, is_required=text in facts.required)
            if name != text:
                self._module.needs.add("Field")
        return lines

    def _annotation(self, facts: Facts, path: tuple[str, str], level: int) -> tuple[str, str]:
        """Return a type that takes all that fits, and why it says nothing if it does not."""
        if facts.is_nothing or not facts.kinds or level > MAX_LEVELS:
            return self._any("nothing fits" if level <= MAX_LEVELS else "nested too deeply")
        if facts.values is not None:
            return self._literal(facts.values, path)
        cases = facts.alternatives()
        if cases is not None:
            return self._union(map(Facts, cases), len(cases), path, level)
        if len(facts.kinds) == len(KINDS):
            is_said = any(_says(part.schema) for part in facts.parts)
            return self._any("the schema names no `type`" if is_said else "")
        names: dict[str, None] = {}
        why = ""
        for kind in KINDS:
            if kind in facts.kinds:
                name, said = self._of_kind(facts, kind, path, level)
                if name == "Any":
                    return name, said
                names |= dict.fromkeys(alternatives(name))
                why = why or said
        if "float" in names and "Integer" in names:
            names = {"int" if name == "Integer" else name: None for name in names}
        if "Integer" in names:
            self._module.needs.add("Integer")
        return " | ".join(names), why

    def _union(
        self, cases: Iterable[Facts], count: int, path: tuple[str, str], level: int
    ) -> tuple[str, str]:
        if count > MAX_CASES:
            return self._any(f"one of {count} schemas")
        names: dict[str, None] = {}
        for case in cases:
            if case.is_nothing or not case.kinds:
                continue
            name, why = self._annotation(case, path, level + 1)
            if name == "Any":
                return name, why or "one of its schemas takes anything"
            names |= dict.fromkeys(alternatives(name))
        return (" | ".join(names), "") if names else self._any("nothing fits")

    def _of_kind(
        self, facts: Facts, kind: str, path: tuple[str, str], level: int
    ) -> tuple[str, str]:
        match kind:
            case "object":
                return self._object(facts, path, level)
            case "array":
                return self._array(facts, path, level)
            case "integer":
                return ("int" if _is_small(facts) else "Integer"), ""
            case "string" | "boolean" | "fraction":
                return {"string": "str", "boolean": "bool", "fraction": "float"}[kind], ""
        return "None", ""

    def _array(self, facts: Facts, path: tuple[str, str], level: int) -> tuple[str, str]:
        if facts.longest_prefix:
            self._module.needs.add("Any")
            return "list[Any]", "each item has a schema of its own"
        name, why = self._annotation(Facts(facts.item(None)), (path[0], f"{path[1]} item"), level)
        return f"list[{name}]", why

    def _object(self, facts: Facts, path: tuple[str, str], level: int) -> tuple[str, str]:
        if not facts.names and not facts.required:
            other = Facts(facts.other())
            if other.is_nothing:
                self._module.needs.add("Any")
                return "dict[str, Any]", ""
            name, why = self._annotation(other, (path[0], f"{path[1]} value"), level + 1)
            return f"dict[str, {name}]", why
        key = _key(facts)
        if key in self._made:
            return self._made[key], ""
        if len(self._made) >= MAX_MODELS:
            return self._any("too many objects")
        name = self._module.name(*(_definition(facts, self._event_type) or path))
        self._made[key] = name
        fields = self._fields(facts, name, level + 1)
        self._module.needs.add("Part")
        self._write(f"class {name}(Part):", _doc(facts) or f"{path[1]} of {path[0]}.", fields)
        return name, ""

    def _literal(self, values: list[Any], path: tuple[str, str]) -> tuple[str, str]:
        if not all(map(_is_literal, values)) or not values:
            return self._any("one of a few values that Python's Literal cannot say")
        listed = list(dict.fromkeys(map(literal, values)))
        if listed == ["None"]:
            return "None", ""
        self._module.needs.add("Literal")
        name = f"Literal[{', '.join(listed)}]"
        if len(name) <= SHORT and " | " not in name:
            return name, ""
        self._module.needs.add("TypeAlias")
        alias = self._module.name(*path)
        lines = [f"{alias}: TypeAlias = Literal[", *(f"    {one}," for one in listed), "]"]
        self._module.blocks.append("\n".join(lines) + "\n")
        return alias, ""

    def _any(self, why: str) -> tuple[str, str]:
        self._module.needs.add("Any")
        return "Any", why


def alternatives(annotation: str) -> list[str]:
    """``"list[int | None] | str" → ["list[int | None]", "str"]``"""
    found, depth = [""], 0
    for part in annotation.split(" | "):
        found[-1] += part if not depth or not found[-1] else f" | {part}"
        depth += part.count("[") - part.count("]")
        if depth == 0:
            found.append("")
    return [one for one in found if one]


def _field(name: str, text: str, annotation: str, why: str, *, is_required: bool) -> list[str]:
    about = [f"    {comment(why)}"] if why else []
    takes_none = annotation in ("Any", "None") or "None" in alternatives(annotation)
    if not is_required and not takes_none:
        annotation += " | None"
    if name == text:
        default = "" if is_required else " = None"
        return [*about, f"    {name}: {annotation}{default}"]
    given = [*([] if is_required else ["default=None"]), f"alias={literal(text)}"]
    line = f"    {name}: {annotation} = Field({', '.join(given)})"
    if len(line) <= LINE:
        return [*about, line]
    return [
        *about,
        f"    {name}: {annotation} = Field(",
        *(f"        {one}," for one in given),
        "    )",
    ]


def _is_literal(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) <= EXACT
    return value is None or isinstance(value, str)


def _is_small(facts: Facts) -> bool:
    low, high = facts.at_least, facts.at_most
    return low is not None and high is not None and low.value >= -LARGEST and high.value <= LARGEST


def _says(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema says anything about a value."""
    return any(word not in _NOTHING and not word.startswith("x-") for word in schema)


def _key(facts: Facts) -> frozenset[object]:
    """What an object's schemas are, so that each has one model."""
    parts = [part for part in facts.parts if _says(part.schema)]
    return frozenset((part.pointer, frozenset(part.schema)) for part in parts)


def _definition(facts: Facts, event_type: str) -> tuple[str, str] | None:
    """A definition that has a name keeps it."""
    parts = [part for part in facts.parts if _says(part.schema)]
    tokens = parts[0].pointer.split("/") if len(parts) == 1 else []
    if len(tokens) == 3 and tokens[1] in ("$defs", "definitions"):
        return event_type, tokens[2]
    return None


def _doc(facts: Facts) -> str:
    texts = [text for word in ("description", "title") for text in facts.every(word)]
    return next((text.strip() for text in texts if text.strip()), "")
