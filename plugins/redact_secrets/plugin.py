"""redact-secrets: takes keys, tokens, mailboxes, cards and accounts out of what passes by."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from redact_rules import InvalidConfig, Rules, redact_value

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

# A long text takes tens of milliseconds, and others must not wait: the rules run in a thread. A
# plain def would do that too, but of those a plugin answers 16 at once, and of these 64.
# They are asked again when a later plugin changed the text: it may have brought a secret in.


@plugin.hook(
    "message_received",
    phase="mutate",
    priority=10,
    timeout_ms=200,
    reinvoke="if_needed",
    writable=["/text"],
)
async def redact_message(event: HookEvent[MessageReceived]) -> Verdict | None:
    """Redact what somebody wrote to us."""
    return await _verdict("/text", event.data.text)


@plugin.hook(
    "response_generated",
    phase="mutate",
    priority=10,
    timeout_ms=200,
    reinvoke="if_needed",
    writable=["/text"],
)
async def redact_response(event: HookEvent[ResponseGenerated]) -> Verdict | None:
    """Redact what a model is about to say."""
    return await _verdict("/text", event.data.text)


@plugin.hook(
    "tool_invoked",
    phase="mutate",
    priority=10,
    timeout_ms=200,
    reinvoke="if_needed",
    writable=["/args"],
)
async def redact_arguments(event: HookEvent[ToolInvoked]) -> Verdict | None:
    """Redact the strings in a tool's arguments, however deep."""
    return await _verdict("/args", event.data.args)


async def _verdict(pointer: str, value: Any) -> Verdict | None:
    redaction = await asyncio.to_thread(redact_value, pointer, value, active.rules)
    if not redaction.patch:
        return None
    found = {f"redacted.{kind}": str(count) for kind, count in sorted(redaction.kinds.items())}
    return Intercept(patch=redaction.patch, annotations=found)


if __name__ == "__main__":
    plugin.run()
