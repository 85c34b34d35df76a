"""One hostile input and its file: a JSON object that a person can read and that says every byte."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
LONGEST_PLAIN = 2_000  # characters of a text that is written out

Part = str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Input:
    """What is fed to one target.

    Attributes:
        fields: JSON values; what ends up as bytes is a list of parts (see `joined`).
        name: where it comes from: a file of the corpus, or seed and number.
        why: what it once showed.
    """

    target: str
    fields: Mapping[str, Any]
    name: str = ""
    why: str = ""
    labels: tuple[str, ...] = field(default=())

    def data(self, key: str) -> bytes:
        """The bytes of one field."""
        return joined(self.fields[key])

    def get(self, key: str, default: Any = None) -> Any:
        return self.fields.get(key, default)


def joined(parts: Iterable[Part]) -> bytes:
    """Put together texts, ``{"hex": …}``, ``{"text": …, "times": n}`` and ``{"zlib": …}``."""
    return b"".join(map(_part, parts))


def parts(data: bytes) -> list[Part]:
    """The inverse of `joined`, as readable as may be."""
    if len(data) > LONGEST_PLAIN:
        return [{"zlib": base64.b64encode(zlib.compress(data, 9)).decode()}]
    try:
        return [data.decode()]
    except UnicodeDecodeError:
        return [{"hex": data.hex()}]


def _part(part: Part) -> bytes:
    if isinstance(part, str):
        return part.encode("utf-8", "surrogatepass")
    if "hex" in part:
        return bytes.fromhex(part["hex"])
    if "zlib" in part:
        return zlib.decompress(base64.b64decode(part["zlib"]))
    return str(part["text"]).encode() * int(part["times"])


def read(file: Path) -> Input:
    document = json.loads(file.read_text())
    return Input(
        document["target"],
        document["fields"],
        file.stem,
        document.get("why", ""),
        tuple(document.get("labels", ())),
    )


def write(found: Input, file: Path) -> None:
    document = {"target": found.target, "why": found.why, "fields": dict(found.fields)}
    file.write_text(json.dumps(document, indent=1) + "\n")


def corpus(target: str | None = None) -> list[Input]:
    """All inputs of the corpus, or those of one target, by name."""
    inputs = [read(file) for file in sorted(CORPUS.glob("*.json"))]
    return [each for each in inputs if target is None or each.target == target]
