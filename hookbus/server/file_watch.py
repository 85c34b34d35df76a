"""A settings file that may change while the registry runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from hookbus.config.load import Loaded
from hookbus.config.settings import Settings

STEADY: Final = 3  # looks without a change until a file counts as written

#: Modification time, size and inode of each file; None for one that is not there.
_Prints = tuple[tuple[int, int, int] | None, ...]


class FileWatch:
    """Tells when the file, or one that it names, is another one than was read the last time."""

    def __init__(self, loaded: Loaded, load: Callable[[], Loaded]) -> None:
        """*loaded* is what *load* gave before."""
        self._load = load
        self._files = loaded.files
        self._read = _prints(self._files)
        self._seen = self._read
        self._steady = 0  # looks since the last change

    def look(self) -> Settings | None:
        """Return the settings once the files have changed, and have not for STEADY looks since.

        A file that is being written may be read as a whole one that says less.

        Raises:
            SettingsError: The file cannot be used now; said once for each change.
        """
        found = _prints(self._files)
        self._steady = self._steady + 1 if found == self._seen else 0
        self._seen = found
        if found == self._read or self._steady < STEADY:
            return None
        self._read = found
        loaded = self._load()
        # those that were known are as they were before the reading: a change since is seen
        more = tuple(file for file in dict.fromkeys(loaded.files) if file not in self._files)
        self._files += more
        self._read = self._seen = (*found, *_prints(more))
        return loaded.settings

    def look_again(self) -> None:
        """Take what was read the last time as not read: it could not be put in force yet."""
        self._read = (None,) * len(self._read)


def _prints(files: tuple[Path, ...]) -> _Prints:
    return tuple(map(_print, files))


def _print(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
