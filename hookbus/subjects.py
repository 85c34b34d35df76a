"""Every NATS subject, stream and bucket name of the protocol, and nowhere else. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_WORD: Final = r"[a-z][a-z0-9_]*"
EVENT_TYPE: Final = re.compile(rf"{_WORD}(?:\.{_WORD}){{0,4}}")
TYPE_PATTERN: Final = re.compile(rf"(?:(?:{_WORD}|\*)(?:\.(?:{_WORD}|\*)){{0,4}}(?:\.>)?|>)")
MAX_EVENT_TYPE_LENGTH: Final = 63  # characters

ANONYMOUS: Final = "anonymous"  # the principal of a connection that names none

DISPATCHER_QUEUE: Final = "dispatcher"
REGISTRY_QUEUE: Final = "registry"

EMIT_ALL: Final = "hookbus.emit.>"
NOTIFY_ALL: Final = "hookbus.notify.>"
ANNOUNCE_ALL: Final = "hookbus.announce.*"
CONTROL_ALL: Final = "hookbus.ctl.>"

DECISIONS_STREAM: Final = "HOOKBUS_DECISIONS"
OBSERVE_STREAM: Final = "HOOKBUS_OBSERVE"
INPUTS_STREAM: Final = "HOOKBUS_INPUTS"
DLQ_STREAM: Final = "HOOKBUS_DLQ"

#: What one observer is to have again; in HOOKBUS_OBSERVE, too.
RETRY_ALL: Final = "hookbus.retry.>"

#: What JetStream says of messages that it gives up, kept until a registry has made letters of it.
ADVISORIES_STREAM: Final = "HOOKBUS_ADVISORIES"
ADVISORIES_CONSUMER: Final = "registry"
ADVISORIES_INBOX: Final = "_INBOX.registry.advisories"  # registries may hear those already
ADVISORIES: Final = "$JS.EVENT.ADVISORY.CONSUMER."
ADVISORY_SUBJECTS: Final = (
    f"{ADVISORIES}MAX_DELIVERIES.{OBSERVE_STREAM}.>",
    f"{ADVISORIES}MSG_TERMINATED.{OBSERVE_STREAM}.>",
)

#: What each stream captures.
STREAM_SUBJECTS: Final = {
    DECISIONS_STREAM: "hookbus.decision.>",
    OBSERVE_STREAM: "hookbus.observe.>",
    INPUTS_STREAM: "hookbus.input.>",
    DLQ_STREAM: "hookbus.dlq.>",
}

CONFIG_BUCKET: Final = "hookbus_config"
CONFIG_KEY: Final = "current"
STATE_BUCKET: Final = "hookbus_state"
OVERRIDES_KEY: Final = "overrides"
SETTINGS_KEY: Final = "settings"

DISPATCHER_SERVICE: Final = "hookbus-dispatcher"
REGISTRY_SERVICE: Final = "hookbus-registry"
RUNNER_SERVICE: Final = "hookbus-runner"

#: Principals and services of the bus itself, and of nobody: no plugin may bear them.
RESERVED_NAMES: Final = frozenset(
    [
        ANONYMOUS,
        DISPATCHER_SERVICE,
        REGISTRY_SERVICE,
        RUNNER_SERVICE,
        DISPATCHER_QUEUE,
        REGISTRY_QUEUE,
    ]
)

INBOX: Final = "_INBOX."
REPLY: Final = "hookbus.reply."
NOTIFY: Final = "hookbus.notify."
JETSTREAM_ACK: Final = "$JS.ACK."
JETSTREAM_API: Final = "$JS.API."


@lru_cache(maxsize=1024)
def is_name(text: str) -> bool:
    """Tell whether *text* can name a plugin, a hook or a principal."""
    return NAME.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def is_event_type(text: str) -> bool:
    """Tell whether *text* is one event type: ``"tool_invoked"``, ``"chat.message_received"``."""
    return len(text) <= MAX_EVENT_TYPE_LENGTH and EVENT_TYPE.fullmatch(text) is not None


def is_type_pattern(text: str) -> bool:
    """Tell whether a hook may ask for *text*: an event type, or one with ``*`` or a last ``>``."""
    return len(text) <= MAX_EVENT_TYPE_LENGTH and TYPE_PATTERN.fullmatch(text) is not None


def has_wildcard(pattern: str) -> bool:
    """Tell whether *pattern* stands for more than one event type."""
    return "*" in pattern or ">" in pattern


def type_matches(pattern: str, event_type: str) -> bool:
    """Match as NATS does: ``"chat.*"`` and ``"chat.>"`` both match ``"chat.sent"``."""
    if pattern == event_type or pattern == ">":
        return True
    wanted, given = pattern.split("."), event_type.split(".")
    for index, part in enumerate(wanted):
        if part == ">":
            return len(given) > index
        if index >= len(given) or (part != "*" and part != given[index]):
            return False
    return len(wanted) == len(given)


def emit(principal: str, event_type: str) -> str:
    """``"chat", "tool_invoked" → "hookbus.emit.chat.tool_invoked"``"""
    return f"hookbus.emit.{principal}.{event_type}"


def notify(principal: str, event_type: str) -> str:
    """``"chat", "tool_invoked" → "hookbus.notify.chat.tool_invoked"``"""
    return f"hookbus.notify.{principal}.{event_type}"


@lru_cache(maxsize=1024)
def principal_and_type(subject: str) -> tuple[str, str]:
    """Take ``hookbus.<emit|notify>.<principal>.<type>`` apart; a missing part is ``""``."""
    parts = subject.split(".", 3)
    return (parts[2] if len(parts) > 2 else "", parts[3] if len(parts) > 3 else "")


def call(plugin: str, hook: str) -> str:
    """``"redact-secrets", "message-received" → "hookbus.call.redact-secrets.message-received"``"""
    return f"hookbus.call.{plugin}.{hook}"


def reply_prefix(dispatcher: str) -> str:
    """Where all replies to one dispatcher begin; with ``*.*`` behind it, its reply inbox."""
    return f"{REPLY}{dispatcher}."


def announce(plugin: str) -> str:
    """``"redact-secrets" → "hookbus.announce.redact-secrets"``"""
    return f"hookbus.announce.{plugin}"


def config(plugin: str) -> str:
    """``"redact-secrets" → "hookbus.config.redact-secrets"``"""
    return f"hookbus.config.{plugin}"


def control(principal: str, operation: str) -> str:
    """``"ops", "list" → "hookbus.ctl.ops.list"``"""
    return f"hookbus.ctl.{principal}.{operation}"


def decision(outcome: str, event_type: str) -> str:
    """``"block", "tool_invoked" → "hookbus.decision.block.tool_invoked"``"""
    return f"hookbus.decision.{outcome}.{event_type}"


def observe(event_type: str) -> str:
    """``"tool_invoked" → "hookbus.observe.tool_invoked"``"""
    return f"hookbus.observe.{event_type}"


def recorded_input(event_type: str) -> str:
    """``"tool_invoked" → "hookbus.input.tool_invoked"``"""
    return f"hookbus.input.{event_type}"


def retry(plugin: str, hook: str) -> str:
    """``"audit-log", "every-event" → "hookbus.retry.audit-log.every-event"``"""
    return f"hookbus.retry.{plugin}.{hook}"


def dead_letter(plugin: str, hook: str) -> str:
    """``"audit-log", "every-event" → "hookbus.dlq.audit-log.every-event"``"""
    return f"hookbus.dlq.{plugin}.{hook}"


def announcement_key(plugin: str) -> str:
    """``"redact-secrets" → "plugin.redact-secrets"``, a key of the bucket ``hookbus_state``"""
    return f"plugin.{plugin}"


def consumer(plugin: str, hook: str) -> str:
    """``"audit-log", "every-event" → "audit-log_every-event"``, a durable of HOOKBUS_OBSERVE"""
    return f"{plugin}_{hook}"


def observer_of(consumer: str) -> tuple[str, str] | None:
    """Undo :func:`consumer`; None if it is no observer's."""
    plugin, _, hook = consumer.partition("_")
    return (plugin, hook) if is_name(plugin) and is_name(hook) else None


def announced(plugin: str) -> str:
    """Where the registry tells every dispatcher that *plugin* announced itself anew.

    An inbox subject, because the permissions of both roles have those already.
    """
    return f"{INBOX}dispatcher.announced.{plugin}"


#: The body of that: anybody can have the bus or the broker send an answer of theirs to any inbox,
#: by naming it as the reply subject, but no answer is this.
ANNOUNCED: Final = b'{"v":1,"announced":true}'


def delivery(reply: str) -> tuple[int, int, int]:
    """Read what the reply subject of a message from a consumer says.

    ``$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<…>.<time>.<pending>`` is its sequence in
    the stream, when it was stored (nanoseconds since the epoch), and how many more there are.
    With a JetStream domain two tokens more stand in front (ADR-15).
    """
    tokens = reply.split(".")
    at = 7 if len(tokens) > 9 else 5
    return int(tokens[at]), int(tokens[at + 2]), int(tokens[at + 3])


def stream_info(stream: str) -> str:
    """``"HOOKBUS_DECISIONS" → "$JS.API.STREAM.INFO.HOOKBUS_DECISIONS"``"""
    return f"{JETSTREAM_API}STREAM.INFO.{stream}"


def create_consumer(stream: str, name: str) -> str:
    """Where a consumer of that name is asked for; it is in the subject so that it can be denied."""
    return f"{JETSTREAM_API}CONSUMER.CREATE.{stream}.{name}"


def service(verb: str, name: str = "", instance: str = "") -> str:
    """``"PING", "redact-secrets" → "$SRV.PING.redact-secrets"`` (ADR-32)"""
    return ".".join(part for part in ("$SRV", verb, name, instance) if part)


def bucket_stream(bucket: str) -> str:
    """``"hookbus_config" → "KV_hookbus_config"``, the stream that keeps a bucket"""
    return f"KV_{bucket}"


def inbox(principal: str) -> str:
    """The inbox prefix of a connection: ``"chat" → "_INBOX.chat"``"""
    return f"{INBOX}{principal}"
