"""guard-tools: keeps tools from dangerous commands, credential files and internal hosts."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from guard_config import Config, InvalidConfig
from guard_rules import check

from hookbus import Block, HookEvent, Plugin, ToolInvoked, Verdict

#: code → what an end user may read; the reason, which quotes the argument, is for operators.
MESSAGES = {
    "dangerous_command": "This command was stopped because it could do serious damage.",
    "forbidden_path": "This file may not be used by tools.",
    "forbidden_host": "This address may not be reached by tools.",
    "unparsable": "This call was stopped because it could not be understood.",
}

log = logging.getLogger("guard-tools")
plugin = Plugin("guard-tools", version="1.0.0")


class Active:
    """The configuration in force: the last one that could be read; at first, the built-in rules."""

    config = Config()

    def configure(self, config: dict[str, Any]) -> None:
        """Take a new configuration, or keep the old one when it cannot be used."""
        try:
            self.config = Config.from_config(config)
        except InvalidConfig as error:
            log.warning("config_refused error=%s", error)


active = Active()
plugin.on_config(active.configure)


# In a thread: a hostile command of 64 KiB takes about a second, and others must not wait for it. A
# plain def would be one too, but of those a plugin answers 16 at once, and of these 64.
@plugin.hook("tool_invoked", phase="validate", timeout_ms=200)
async def guard(event: HookEvent[ToolInvoked]) -> Verdict | None:
    """Block the call when a rule objects."""
    finding = await asyncio.to_thread(check, event.data.name, event.data.args, active.config)
    if finding is None:
        return None
    return Block(finding.reason, code=finding.code, message=MESSAGES[finding.code])


if __name__ == "__main__":
    plugin.run()
