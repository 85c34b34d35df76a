"""How a plugin says that it is there: the announcement, bytes to value and back. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from hookbus.errors import InvalidManifest, Problem
from hookbus.manifest.fields import Name, Version
from hookbus.manifest.hook import HookOptions
from hookbus.manifest.problems import parse, shown
from hookbus.subjects import RESERVED_NAMES

PROTOCOL_VERSION: Final = 1
MAX_HOOKS: Final = 256  # of one plugin
MAX_INSTANCE_LENGTH: Final = 64  # characters


def _check_instance(text: str) -> str:
    if not 1 <= len(text) <= MAX_INSTANCE_LENGTH:
        raise ValueError(f"expected 1 … {MAX_INSTANCE_LENGTH} characters, got {shown(text)}")
    return text


class Announcement(BaseModel):
    """What one running instance of a plugin asks the registry for.

    Attributes:
        instance: names this process among the plugin's replicas.
        goodbye: this instance leaves; it then has no hooks.
        candidate_of: try this one out beside that plugin, in shadow.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    plugin: Name = Field(description="the plugin's name")
    version: Version = Field(description="a SemVer version such as '1.0.0'")
    instance: Annotated[str, AfterValidator(_check_instance)] = Field(
        description="a text that no other replica uses"
    )
    goodbye: bool = False
    candidate_of: Name | None = None
    hooks: Annotated[tuple[HookOptions, ...], Field(strict=False)] = Field(
        default=(), validate_default=True
    )

    @field_validator("candidate_of")
    @classmethod
    def _is_another(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("plugin"):
            raise ValueError(f"expected another plugin's name, got {value!r} itself")
        return value

    @field_validator("hooks", mode="before")
    @classmethod
    def _check_count(cls, raw: object) -> object:
        # before any of them is looked at: a message has room for a hundred thousand
        if isinstance(raw, list | tuple) and len(raw) > MAX_HOOKS:
            raise ValueError(f"expected at most {MAX_HOOKS} hooks, got {len(raw)}")
        return raw

    @field_validator("hooks")
    @classmethod
    def _check_hooks(
        cls, hooks: tuple[HookOptions, ...], info: ValidationInfo
    ) -> tuple[HookOptions, ...]:
        # a goodbye that could not be read is refused already, and might have been one
        if not hooks and not info.data.get("goodbye", True):
            raise ValueError("expected at least one hook, or goodbye: true")
        names = Counter(hook.name for hook in hooks)
        if repeated := sorted(name for name, count in names.items() if count > 1):
            raise ValueError(
                f"expected a name of its own for each hook, got several named "
                f"{', '.join(map(repr, repeated))}; set name"
            )
        return hooks

    def to_document(self) -> dict[str, Any]:
        """Give the JSON object that goes over the wire and is kept in the KV."""
        document: dict[str, Any] = {
            "v": PROTOCOL_VERSION,
            "plugin": self.plugin,
            "version": self.version,
            "instance": self.instance,
        }
        if self.candidate_of is not None:
            document["candidate_of"] = self.candidate_of
        if self.goodbye:
            return document | {"goodbye": True}
        # what was not written stays unwritten: the reader must see what the plugin asked for
        return document | {"hooks": [hook.explicit() for hook in self.hooks]}


def parse_announcement(body: bytes, plugin_token: str) -> Announcement:
    """Read an announcement that came on ``hookbus.announce.<plugin_token>``.

    Raises:
        InvalidManifest: If it cannot be used; all that is wrong is in ``problems``.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        problem = Problem("", f"expected a JSON object: {e}")
        raise InvalidManifest(f"announcement of plugin {plugin_token!r}", (problem,)) from e
    return from_document(document, plugin_token)


def from_document(document: object, plugin_token: str) -> Announcement:
    """Read what :meth:`Announcement.to_document` wrote for *plugin_token*.

    Raises:
        InvalidManifest: As :func:`parse_announcement`.
    """
    announcement = parse(Announcement, document)
    problems = (
        *_envelope_problems(document, plugin_token),
        *(announcement if isinstance(announcement, tuple) else ()),
    )
    if isinstance(announcement, tuple) or problems:
        raise InvalidManifest(f"announcement of plugin {plugin_token!r}", problems)
    return announcement


def encode_announcement(announcement: Announcement) -> bytes:
    """Give the body for ``hookbus.announce.<plugin>``."""
    return msgspec.json.encode(announcement.to_document())


def hooks_fingerprint(hooks: Iterable[HookOptions]) -> str:
    """Give a digest that is equal for the same hooks, in whatever order they are listed.

    A default that is written and one that is not are the same.
    """
    lines = sorted(hook.model_dump_json() for hook in hooks)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _envelope_problems(document: object, plugin_token: str) -> Iterable[Problem]:
    if not isinstance(document, dict):
        return  # said already
    version, plugin = document.get("v"), document.get("plugin")
    if "v" not in document:
        yield Problem("v", f"missing; expected {PROTOCOL_VERSION}")
    elif version != PROTOCOL_VERSION or isinstance(version, bool):
        yield Problem("v", f"expected {PROTOCOL_VERSION}, got {shown(version)}")
    if plugin_token in RESERVED_NAMES:
        yield Problem("plugin", f"{plugin_token!r} is a name of the bus's own; choose another")
    if isinstance(plugin, str) and plugin != plugin_token:
        yield Problem("plugin", f"expected {plugin_token!r} as in the subject, got {plugin!r}")
