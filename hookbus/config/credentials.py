"""The one file that proves who a connection is; standard library only."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hookbus.errors import CredentialsError
from hookbus.subjects import NAME, inbox, is_name

VERSION: Final = 1

_SEED: Final = re.compile(r"SU[A-Z2-7]{56}")
_MEMBERS: Final = ("kind", "principal", "inbox_prefix", "seed")
_TOO_MUCH: Final = 64 * 1024  # bytes; such a file is no credentials, and may be a device


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who somebody is on the bus.

    Attributes:
        kind: ``emitter``, ``plugin``, ``dispatcher``, ``registry``, ``runner``, ``operator``,
            ``viewer``, ``backtester`` or ``local``.
        principal: the name that the broker binds this key to.
        seed: the secret half of an NKey; it is never shown.
    """

    kind: str
    principal: str
    seed: str = field(repr=False)

    @property
    def inbox_prefix(self) -> str:
        return inbox(self.principal)

    def to_json(self) -> str:
        """Write the file's text, which `read_credentials` takes."""
        members = {
            "v": VERSION,
            "kind": self.kind,
            "principal": self.principal,
            "inbox_prefix": self.inbox_prefix,
            "seed": self.seed,
        }
        return json.dumps(members, indent=1) + "\n"


def read_credentials(file: Path) -> Credentials:
    """Read a credentials file.

    Raises:
        CredentialsError: It cannot be read, others may read it, or it is none. What the file holds
            is not in the message.
    """
    where = f"credentials {str(file)!r}"
    try:
        with file.open("rb") as opened:
            _refuse_a_shared_file(os.fstat(opened.fileno()), file)
            body = opened.read(_TOO_MUCH)
    except OSError as e:
        raise CredentialsError(f"{where}: cannot be read: {e.strerror}; check HOOKBUS_CREDS") from e
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):  # the error would show a part of it
        members = None
    if not isinstance(members, dict) or members.get("v") != VERSION:
        raise CredentialsError(
            f"{where}: expected the file that 'hookbus credentials create' writes (JSON, v 1)"
        )
    return _checked(where, members)


class SeedSource:
    """Gives the seed for each new connection as the file holds it then.

    Who was rotated comes back with the new key at its next reconnect, and needs no restart.
    """

    def __init__(self, file: Path) -> None:
        """Read it once; raises what `read_credentials` raises."""
        self._file = file
        self._seed = read_credentials(file).seed

    def __call__(self) -> str:
        with contextlib.suppress(CredentialsError):  # not readable now: the old key may still do
            self._seed = read_credentials(self._file).seed
        return self._seed


def _checked(where: str, members: dict[str, Any]) -> Credentials:
    texts = {name: members.get(name) for name in _MEMBERS}
    for name, text in texts.items():
        if not isinstance(text, str) or not text:
            raise CredentialsError(f"{where}: {name}: expected a text, found {type(text).__name__}")
    kind, principal, inbox_prefix, seed = map(str, texts.values())
    if not is_name(principal):
        raise CredentialsError(f"{where}: principal: expected a name like {NAME.pattern}")
    if inbox_prefix != inbox(principal):
        raise CredentialsError(f"{where}: inbox_prefix: expected {inbox(principal)!r}")
    if not _is_seed(seed):
        raise CredentialsError(f"{where}: seed: expected the seed of a user's NKey, whole")
    return Credentials(kind, principal, seed)


def _is_seed(text: str) -> bool:
    """Tell whether it is 58 base32 characters that begin with SU and end in their CRC-16."""
    if not _SEED.fullmatch(text):
        return False
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    return binascii.crc_hqx(raw[:-2], 0) == int.from_bytes(raw[-2:], "little")


def _refuse_a_shared_file(found: os.stat_result, file: Path) -> None:
    """Refuse what others may read. A group may, where it is by the group that we may read it.

    So Kubernetes mounts secrets: owned by root, readable for the pod's group.
    """
    mode = stat.S_IMODE(found.st_mode)
    shared = mode & 0o007 or (mode & 0o070 and found.st_uid == os.geteuid())
    if shared and stat.S_ISREG(found.st_mode):
        raise CredentialsError(
            f"credentials {str(file)!r}: others may read this secret (mode {mode:04o});"
            f" chmod 600 {file}, and rotate it if they may have"
        )
