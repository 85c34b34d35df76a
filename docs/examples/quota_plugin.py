"""A plugin with a state of its own: so many messages a minute for each user.

All replicas on one machine share one SQLite file. (It is no file for a network drive; over several
machines the same three statements belong into a database that those share.)

QUOTA_FILE=/var/lib/quota.db python quota_plugin.py
"""

import os
import sqlite3
import time
from contextlib import closing

from hookbus import Block, HookEvent, MessageReceived, Plugin

FILE = os.environ.get("QUOTA_FILE", "quota.db")
WINDOW = 60.0  # seconds

plugin = Plugin("quota", version="1.0.0")


def opened() -> sqlite3.Connection:
    """Open the state; who waits longer for the other replicas fails, and a failure blocks."""
    return sqlite3.connect(FILE, timeout=0.5, isolation_level=None)


# A plain def runs in a thread and may wait for the disk.
@plugin.hook("message_received", phase="validate", timeout_ms=800)
def within_quota(event: HookEvent[MessageReceived]) -> Block | None:
    """Count the event once, however often it is asked about."""
    if event.dry_run:
        return None
    user, limit = event.data.user or "", int(plugin.config.get("per_minute", 30))
    with closing(opened()) as state:
        state.execute("BEGIN IMMEDIATE")  # one replica after another
        state.execute("DELETE FROM passed WHERE at < ?", [time.time() - WINDOW])
        [passed] = state.execute("SELECT count(*) FROM passed WHERE user = ?", [user]).fetchone()
        known = state.execute(
            "SELECT 1 FROM passed WHERE source = ? AND id = ?", [event.source, event.id]
        ).fetchone()
        if not known and passed < limit:
            row = [event.source, event.id, user, time.time()]
            state.execute("INSERT INTO passed VALUES (?, ?, ?, ?)", row)
        state.execute("COMMIT")
    if known or passed < limit:
        return None
    return Block(f"{passed} in a minute", code="quota", message="Please wait a minute.")


if __name__ == "__main__":
    with closing(opened()) as state:
        state.execute("PRAGMA journal_mode = WAL")
        columns = "source, id, user, at REAL, PRIMARY KEY (source, id)"
        state.execute(f"CREATE TABLE IF NOT EXISTS passed ({columns})")
    plugin.run()
