"""What a plugin asks for with one hook, and what an operator may write about it. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from hookbus.errors import Problem
from hookbus.manifest.fields import (
    MAX_BODY_BYTES,
    Name,
    Pointer,
    TypePattern,
    at_least,
    between,
)
from hookbus.manifest.problems import parse, shown
from hookbus.models import Mode, OnFailure, Phase
from hookbus.subjects import NAME, has_wildcard, is_type_pattern

MAX_TIMEOUT_MS: Final = 30_000

_Item = TypeVar("_Item")
# JSON and TOML know lists only; the items stay strict
_Tuple = Annotated[tuple[_Item, ...], Field(strict=False)]


class HookOverlay(BaseModel):
    """Options of a hook, none of them required; only what was written counts.

    This is what a ``[plugins.NAME.hooks.HOOK]`` table holds. Times are milliseconds.

    Attributes:
        type: an event type, or a pattern with ``*`` or a last ``>``.
        phase: mutate, validate or observe.
        priority: lower runs first.
        timeout_ms: for one call, retries included.
        on_failure: what no usable answer counts as: closed is a block, open a continue that is
            recorded.
        mode: what a verdict may do: enforce it, only warn, only be recorded (shadow), or off, which
            does not ask at all.
        min_ms: what other stages leave for this plugin; may be above ``timeout_ms``.
        reinvoke: whether a mutate hook is asked again when another one changed the data behind it.
        side_effects: what asking does to the world; with ``some`` a dry run does not ask.
        when: CEL conditions on the event; all must hold.
        writable: JSON Pointers that an Intercept may change; ``""`` is all of ``data``.
        rewrites: JSON Pointers where overwriting an earlier plugin is no conflict.
        cache_ttl_ms: how long a validate hook's verdict holds for the same input; 0 asks each time.
        cache_key: JSON Pointers a cached verdict depends on; none means all of ``data``.
        retry: how often a call is sent again.
        max_reply_bytes: the largest reply, in bytes; a larger one is a failure.
        disallow: what a change outside of ``writable`` is: an error, or ignored.
        max_extension_ms: how much more time a plugin may ask for; 0 is none.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    # before the others: their validators look at the phase
    type: TypePattern | None = None
    phase: Phase | None = None
    priority: Annotated[int, between(-1000, 1000)] = 100
    timeout_ms: Annotated[int, between(1, MAX_TIMEOUT_MS)] = 200
    on_failure: OnFailure = "closed"
    mode: Mode = "enforce"
    min_ms: Annotated[int, at_least(1)] = 50
    reinvoke: Literal["never", "if_needed"] = "never"
    side_effects: Literal["none", "none_on_dry_run", "some"] = "none"
    when: _Tuple[str] = ()
    writable: _Tuple[Pointer] = ("",)
    rewrites: _Tuple[Pointer] = ()
    cache_ttl_ms: Annotated[int, at_least(0)] = 0
    cache_key: _Tuple[Pointer] = ()
    retry: Annotated[int, between(0, 5)] = 0
    max_reply_bytes: Annotated[int, between(1, MAX_BODY_BYTES)] = 256 * 1024
    disallow: Literal["error", "ignore"] = "error"
    max_extension_ms: Annotated[int, between(0, MAX_TIMEOUT_MS)] = 0

    # Defaults are not validated, so these two see only what somebody wrote.

    @field_validator("on_failure", "when", "writable", "cache_ttl_ms", "cache_key", "retry")
    @classmethod
    def _refuse_on_observers(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("phase") == "observe":
            raise ValueError(f"expected nothing on an observe hook, got {shown(value)}; remove it")
        return value

    @field_validator("cache_ttl_ms", "cache_key")
    @classmethod
    def _refuse_on_mutators(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("phase") == "mutate" and value:
            raise ValueError(
                f"expected nothing on a mutate hook, got {shown(value)}; "
                "only validate hooks are cached"
            )
        return value

    def explicit(self) -> dict[str, Any]:
        """Give the options that were written, as JSON values; null counts as not written."""
        return self.model_dump(mode="json", exclude_unset=True, exclude_none=True)


class HookOptions(HookOverlay):
    """A hook as a plugin declares it: what is not written is the default.

    Attributes:
        name: unique within the plugin; by default the event type in other letters.
    """

    # version 1 can grow: an older bus takes a newer plugin's options as far as it knows them
    model_config = ConfigDict(extra="ignore")

    type: TypePattern = Field(description="an event type such as 'tool_invoked'")
    phase: Phase = Field(description="'mutate', 'validate' or 'observe'")
    name: Name = ""

    @model_validator(mode="before")
    @classmethod
    def _derive_name(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "name" not in raw:
            return {**raw, "name": _name_for(raw.get("type"))}
        return raw

    @field_validator("name", mode="before")
    @classmethod
    def _ask_for_a_name(cls, value: object) -> object:
        if value == "":
            raise ValueError(
                f"missing; a type pattern needs a hook name of its own, like {NAME.pattern}"
            )
        return value


def default_name(event_type: str) -> str:
    """``"chat.tool_invoked" → "chat-tool-invoked"``"""
    return re.sub(r"[._]", "-", event_type)


def parse_hook(raw: object, at: str = "") -> HookOptions | tuple[Problem, ...]:
    """Read one hook of an announcement or manifest; *at* is its place: ``"hooks[0]"``."""
    return parse(HookOptions, raw, at)


def _name_for(type: object) -> str:
    """Derive a hook's name; ``""`` is none."""
    if not isinstance(type, str) or not is_type_pattern(type):
        return "unknown"  # the type is refused anyway, the name would be a second complaint
    return "" if has_wildcard(type) else default_name(type)
