"""The command `hookbus`."""

from __future__ import annotations

import sys

from hookbus.cli.streams import open_streams, say_error


def main() -> None:
    """Run the command line of this process; it ends with an exit code of the protocol."""
    try:
        open_streams()
        from hookbus.cli.app import run  # what it needs is the extra 'cli'

        run()
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says of what ctrl-C ended
    except ModuleNotFoundError as e:
        if e.name is None or e.name.partition(".")[0] == "hookbus":
            raise
        say_error(f"hookbus: the module {e.name!r} is not installed; pip install 'hookbus[cli]'")
        sys.exit(2)
