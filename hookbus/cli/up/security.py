"""The credentials of a local bus: one for each of its processes, and the operator's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hookbus.config.connection import Connection
from hookbus.identity.folder import CredentialsFolder

SUBFOLDER: Final = "credentials"  # of the data directory
OPERATOR: Final = "operator"
ROLES: Final = ("dispatcher", "registry")

#: Of a child's environment: who it is, is our choice.
CONNECTION_VARIABLES: Final = (
    "HOOKBUS_NATS_URL",
    "HOOKBUS_PRINCIPAL",
    "HOOKBUS_CREDS",
    "HOOKBUS_TLS_CA",
    "HOOKBUS_TLS_CERT",
    "HOOKBUS_TLS_KEY",
)


@dataclass(frozen=True, slots=True)
class Security:
    """The credentials folder of a local bus that asks everybody for credentials."""

    folder: CredentialsFolder

    @classmethod
    def prepare(cls, data_dir: Path, plugins: Iterable[str]) -> Security:
        """Make what is missing; who has credentials already keeps them.

        Raises:
            CredentialsError: The folder cannot be used, or a name is somebody else's.
        """
        folder = CredentialsFolder(data_dir.absolute() / SUBFOLDER)
        folder.ensure(
            [
                ("dispatcher", "dispatcher"),
                ("registry", "registry"),
                ("operator", OPERATOR),
                *(("plugin", name) for name in sorted(set(plugins))),
            ]
        )
        return cls(folder)

    def creds(self, name: str) -> Path:
        return self.folder.file_of(name)

    def version(self) -> tuple[int, int] | None:
        """Something that is another one whenever the account file is."""
        try:
            found = self.folder.account_file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino


def connection_of(url: str, security: Security | None, name: str) -> Connection:
    """How we connect as *name* ourselves."""
    return Connection(url, name, security.creds(name) if security else None)


def environment_of(connection: Connection) -> dict[str, str]:
    """The environment of a child that connects so, and else is like ours."""
    kept = {k: v for k, v in os.environ.items() if k not in CONNECTION_VARIABLES}
    creds = {"HOOKBUS_CREDS": str(connection.creds)} if connection.creds else {}
    return {**kept, "HOOKBUS_NATS_URL": connection.nats_url, "PYTHONUNBUFFERED": "1", **creds}
