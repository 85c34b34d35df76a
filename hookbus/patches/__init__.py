"""Patches, merge patches and differences, on plain JSON values. Pure.

Nothing here changes a value that it was given: results are new where they differ and share the
rest, so nobody may change them either. Messages show pointers and types, never values: they end
up in records, and a payload may be secret.
"""

from hookbus.patches.applying import apply, merge
from hookbus.patches.differences import difference
from hookbus.patches.operations import (
    Operation,
    OpName,
    decode,
    patch_hash,
    to_json,
    written,
    written_paths,
)
from hookbus.patches.pointers import Tokens, covers, find, overlaps, pointer, resolve, tokens
from hookbus.patches.values import MISSING, Missing, equal

__all__ = [
    "MISSING",
    "Missing",
    "OpName",
    "Operation",
    "Tokens",
    "apply",
    "covers",
    "decode",
    "difference",
    "equal",
    "find",
    "merge",
    "overlaps",
    "patch_hash",
    "pointer",
    "resolve",
    "to_json",
    "tokens",
    "written",
    "written_paths",
]
