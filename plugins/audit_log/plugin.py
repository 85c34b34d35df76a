"""audit-log: writes a line of JSON for every event that the bus decided or passed on."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from audit_config import Config, InvalidConfig
from audit_lines import entry, key_of, line
from audit_sink import Log

from hookbus import HookEvent, Plugin

log = logging.getLogger("audit-log")
plugin = Plugin("audit-log", version="1.0.0")


class Active:
    """The log in use; opened when the first line comes, so that a bad path fails that line."""

    def __init__(self) -> None:
        self._config = Config()
        self._log: Log | None = None
        self._lock = Lock()  # handlers run in threads

    def configure(self, config: dict[str, Any]) -> None:
        """Take a new configuration, or keep the old one when it cannot be used."""
        try:
            parsed = Config.from_config(config)
        except InvalidConfig as error:
            log.warning("config_refused error=%s", error)
            return
        with self._lock:
            self._config = parsed
        self.close()

    def close(self) -> None:
        """Let go of the file; the next event opens it again."""
        with self._lock:
            if self._log is not None:
                self._log.close()
            self._log = None

    def write(self, event: HookEvent[Any]) -> None:
        """Write *event*, unless it was written already."""
        with self._lock:
            self._log = self._log or Log(self._config)
            written = entry(event, datetime.now(UTC), include_data=self._config.include_data)
            self._log.write(key_of(event), line(written))


active = Active()
plugin.on_config(active.configure)


# not async: writing to a file waits; OSError is not caught, since the bus then delivers again
@plugin.hook(">", phase="observe", name="every-event")
def every_event(event: HookEvent[Any]) -> None:
    """Write the event down."""
    active.write(event)


if __name__ == "__main__":
    plugin.run()
