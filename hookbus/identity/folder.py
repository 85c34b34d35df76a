"""A folder of credentials: a file for each holder, and what a nats-server must know of them all.

```
<name>.json     principal, seed and inbox prefix; 0600, for HOOKBUS_CREDS
.users.json     who there is, with public keys
account.conf    the same with permissions, for a nats-server to include
```
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from hookbus import subjects
from hookbus.config.credentials import Credentials, read_credentials
from hookbus.errors import CredentialsError
from hookbus.identity.keys import new_key, public_key
from hookbus.identity.permissions import KINDS, ROLES, Kind
from hookbus.identity.server_config import User, account_config

ACCOUNT_FILE: Final = "account.conf"

_RECORD: Final = ".users.json"  # no credentials can be called like that
_SECRET, _PUBLIC, _FOLDER = 0o600, 0o644, 0o700


class _Record(msgspec.Struct, frozen=True):
    v: int
    users: tuple[User, ...]


@dataclass(frozen=True, slots=True)
class CredentialsFolder:
    """The folder at *path*; changes of several processes wait for each other.

    Every method raises CredentialsError, also where the folder or a file cannot be used.
    """

    path: Path

    @property
    def account_file(self) -> Path:
        """What a nats-server includes; it changes with each change here, at once and whole."""
        return self.path / ACCOUNT_FILE

    def file_of(self, name: str) -> Path:
        """Where the credentials called *name* are."""
        return self.path / f"{name}.json"

    def users(self) -> tuple[User, ...]:
        """Everybody, by name; nobody if there is no folder yet."""
        try:
            body = (self.path / _RECORD).read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as e:
            raise _unusable(self.path / _RECORD, e) from e
        try:
            return msgspec.json.decode(body, type=_Record).users
        except (msgspec.DecodeError, UnicodeError) as e:
            raise CredentialsError(f"{str(self.path / _RECORD)!r}: cannot be read: {e}") from e

    def create(self, kind: Kind, name: str, plugins: Sequence[str] = ()) -> User:
        """Make new credentials; nobody else has that name."""
        _check(kind, name, plugins)
        with self._changing():
            if taken := self._find(name):
                raise CredentialsError(
                    f"{name!r} is taken by a {taken.kind}, and a name means one principal:"
                    " choose another one, or rotate or revoke it"
                )
            return self._make(User(name, kind, "", "", tuple(plugins)))

    def rotate(self, name: str) -> User:
        """Give *name* a new key in its file; the old one is worth nothing after the reload."""
        with self._changing():
            return self._make(self._known(name))

    def revoke(self, name: str) -> User:
        """Forget *name* and delete its file."""
        with self._changing():
            gone = self._known(name)
            self._keep([user for user in self.users() if user.name != name])
            self.file_of(name).unlink(missing_ok=True)
            return gone

    def ensure(self, wanted: Sequence[tuple[Kind, str]]) -> None:
        """See that these are there, with files that fit; the others stay as they are."""
        for kind, name in wanted:
            _check(kind, name, ())
        with self._changing():
            for kind, name in wanted:
                found = self._find(name)
                if found is not None and found.kind != kind:
                    raise CredentialsError(
                        f"{name!r} in {str(self.path)!r} is of kind {found.kind}, expected {kind}:"
                        f" run 'hookbus credentials revoke {name} --folder {self.path}'"
                    )
                if found is None or not self._fits(found):
                    self._make(User(name, kind, "", ""))
            self._keep(self.users())  # what this version allows, whoever wrote it before

    def _find(self, name: str) -> User | None:
        return next((user for user in self.users() if user.name == name), None)

    def _known(self, name: str) -> User:
        if found := self._find(name):
            return found
        names = ", ".join(user.name for user in self.users()) or "nobody"
        raise CredentialsError(f"{str(self.path)!r} has no credentials {name!r}; it has: {names}")

    def _fits(self, user: User) -> bool:
        """Tell whether its file is there and has the key that the server knows."""
        with contextlib.suppress(CredentialsError):
            return public_key(read_credentials(self.file_of(user.name)).seed) == user.public_key
        return False

    def _make(self, wanted: User) -> User:
        """The file first: who is cut off by the reload finds the new key there."""
        seed, public = new_key()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        made = msgspec.structs.replace(wanted, public_key=public, since=now)
        credentials = Credentials(made.kind, made.principal, seed)
        self._write(self.file_of(made.name), credentials.to_json(), _SECRET)
        self._keep([*(user for user in self.users() if user.name != made.name), made])
        return made

    def _keep(self, users: Sequence[User]) -> None:
        by_name = tuple(sorted(users, key=lambda user: user.name))
        record = msgspec.json.format(msgspec.json.encode(_Record(1, by_name)), indent=1)
        self._write(self.path / _RECORD, record.decode() + "\n", _SECRET)
        # readable for all, because the server runs as somebody else; no secrets are in it
        self._write(self.account_file, account_config(by_name), _PUBLIC)

    def _write(self, file: Path, text: str, mode: int) -> None:
        """Write at once and whole, and never readable for more than *mode* says."""
        draft = self.path / f".{file.name}.{secrets.token_hex(4)}"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                os.fchmod(descriptor, mode)  # whatever the umask takes away from a public one
                opened.write(text)
                opened.flush()
                os.fsync(descriptor)
            draft.replace(file)
        except OSError as e:
            draft.unlink(missing_ok=True)
            raise _unusable(file, e) from e

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            for folder in (self.path.parent, self.path):  # the first is a broker's data directory
                folder.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, _SECRET)
        except OSError as e:
            raise _unusable(self.path, e) from e
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _check(kind: Kind, name: str, plugins: Sequence[str]) -> None:
    if kind not in KINDS:
        raise CredentialsError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    for one in (name, *plugins):
        if not subjects.is_name(one):
            raise CredentialsError(f"expected a name like {subjects.NAME.pattern}, got {one!r}")
        if one in subjects.RESERVED_NAMES and not (kind in ROLES and one == kind):
            raise CredentialsError(f"{one!r} is a name of the bus's own: choose another one")
    if (kind == "runner") != bool(plugins):
        raise CredentialsError(
            "a runner answers for the plugins that it runs: name each with --plugin"
            if kind == "runner"
            else f"--plugin says what a runner runs; a {kind} has none"
        )


def _unusable(path: Path, error: OSError) -> CredentialsError:
    return CredentialsError(f"{str(path)!r} cannot be used: {error.strerror}")
