"""redact-secrets: takes keys, tokens, mailboxes, cards and accounts out of what passes by."""

from __future__ import annotations

import logging
from typing import Any

from redact_rules import InvalidConfig, Redaction, Rules, redact_value

from hookbus import (
    HookEvent,
    Intercept,
    MessageReceived,
    Plugin,
    ResponseGenerated,
    ToolInvoked,
    Verdict,
)

log = logging.getLogger("redact-secrets")
plugin = Plugin("redact-secrets", version="1.0.0")


class Active:
    """The rules in force: the last configuration that could be read; at first, every kind."""

    rules = Rules()

    def configure(self, config: dict[str, Any]) -> None:
        """Take a new configuration, or keep the old one when it cannot be used."""
        try:
            self.rules = Rules.from_config(config)
        except InvalidConfig as error:
            log.warning("config_refused error=%s kept=%r", error, sorted(self.rules.kinds))


active = Active()
plugin.on_config(active.configure)

# The handlers are not async: a long text takes tens of milliseconds, and others must not wait.
# They are asked again when a later plugin changed the text: it may have brought a secret in.


@plugin.hook(
    "message_received",
    phase="mutate",
    priority=10,
    timeout_ms=200,
    reinvoke="if_needed",
    writable=["/text"],
)
def redact_message(event: HookEvent[MessageReceived]) -> Verdict | None:
    """Redact what somebody wrote to us."""
    return _verdict(redact_value("/text", event.data.text, active.rules))


@plugin.hook(
    "response_generated",
    phase="mutate",
    priority=10,
    timeout_ms=200,
    reinvoke="if_needed",
    writable=["/text"],
)
def redact_response(event: HookEvent[ResponseGenerated]) -> Verdict | None:
    """Redact what a model is about to say."""
    return _verdict(redact_value("/text", event.data.text, active.rules))


@plugin.hook(
    "tool_invoked",
    phase="mutate",
    priority=10,
    timeout_ms=200,
    reinvoke="if_needed",
    writable=["/args"],
)
def redact_arguments(event: HookEvent[ToolInvoked]) -> Verdict | None:
    """Redact the strings in a tool's arguments, however deep."""
    return _verdict(redact_value("/args", event.data.args, active.rules))


def _verdict(redaction: Redaction) -> Verdict | None:
    if not redaction.patch:
        return None
    found = {f"redacted.{kind}": str(count) for kind, count in sorted(redaction.kinds.items())}
    return Intercept(patch=redaction.patch, annotations=found)


if __name__ == "__main__":
    plugin.run()
