"""A JSON Schema as something that validates; the only user of jsonschema-rs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import jsonschema_rs
import msgspec

from hookbus.wire.limits import exceeds_depth

MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 64
MAX_PATTERN_BYTES: Final = 4 * 1024 * 1024  # of one pattern, compiled
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

#: Without backtracking, and each of bounded size.
_PATTERNS: Final = jsonschema_rs.RegexOptions(
    size_limit=MAX_PATTERN_BYTES, dfa_size_limit=MAX_PATTERN_BYTES
)


def compile_schema(schema: Mapping[str, Any] | bool) -> Any:
    """Compile a JSON Schema; it may refer to nothing outside itself.

    Raises:
        ValueError: Not a schema, too large, or it refers to something outside.
    """
    encoded = msgspec.json.encode(schema)
    if len(encoded) > MAX_SCHEMA_BYTES:
        raise ValueError(f"schema of {len(encoded)} bytes, at most {MAX_SCHEMA_BYTES}")
    if exceeds_depth(encoded, MAX_DEPTH):
        raise ValueError(f"schema nested deeper than {MAX_DEPTH} levels")
    # Remote references are on by default in jsonschema-rs, file:// too, and so are regular
    # expressions that backtrack.
    return jsonschema_rs.validator_for(
        _plain(schema),
        validate_formats=True,
        retriever=_refuse,
        pattern_options=_PATTERNS,
        mask="the value",  # values may be secret or large, and messages travel
    )


def compile_part(schema: Mapping[str, Any] | bool, pointer: str) -> Any:
    """Compile what stands at *pointer* in a schema that compiles; references are the whole's.

    Raises:
        ValueError: There is nothing that could be compiled.
    """
    if not pointer:
        return compile_schema(schema)
    return jsonschema_rs.validator_for(
        {"$ref": f"hookbus:whole#{quote(pointer, safe='/~')}"},
        validate_formats=True,
        retriever=_refuse,
        registry=jsonschema_rs.Registry([("hookbus:whole", _plain(schema))], retriever=_refuse),
        pattern_options=_PATTERNS,
        mask="the value",
    )


def breaches(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield pointer and words of all that makes *schema* no JSON Schema 2020-12."""
    for found in _METASCHEMA.iter_errors(schema):
        pointer = "".join(f"/{escape(token)}" for token in found.instance_path)
        yield pointer, found.message


def escape(token: object) -> str:
    """Write one step of a JSON Pointer."""
    return str(token).replace("~", "~0").replace("/", "~1")


def _plain(schema: Mapping[str, Any] | bool) -> dict[str, Any] | bool:
    return schema if isinstance(schema, bool) else dict(schema)


def _refuse(uri: str) -> Any:
    raise ValueError(f"a schema may not refer to {uri!r}; put the definition under $defs")


_METASCHEMA: Final = jsonschema_rs.validator_for(
    {"$ref": DIALECT},
    validate_formats=True,
    pattern_options=_PATTERNS,
)
