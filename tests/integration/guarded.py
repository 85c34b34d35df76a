"""A nats-server that asks for credentials, and plain nats-py clients that try what they may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
from nats.aio.client import Client

from hookbus import subjects
from hookbus.broker import EmbeddedBroker
from hookbus.config.credentials import read_credentials
from hookbus.identity.folder import CredentialsFolder
from hookbus.identity.permissions import Kind

#: One of each kind, and a neighbour of the same kind to trespass on.
CAST: tuple[tuple[Kind, str, tuple[str, ...]], ...] = (
    ("emitter", "chat", ()),
    ("emitter", "shop", ()),
    ("plugin", "guard", ()),
    ("plugin", "scribe", ()),
    ("dispatcher", "dispatcher", ()),
    ("registry", "registry", ()),
    ("runner", "host", ("hosted",)),
    ("operator", "ops", ()),
    ("operator", "boss", ()),
    ("viewer", "eve", ()),
    ("backtester", "tess", ()),
    ("local", "near", ()),
)


@dataclass(frozen=True)
class Guarded:
    """The server's URL, and the folder of everybody's credentials."""

    url: str
    folder: CredentialsFolder
    broker: EmbeddedBroker

    def plain(self, name: str) -> AbstractAsyncContextManager[Plain]:
        return plain(self.url, self.folder.file_of(name))


@dataclass(frozen=True)
class Plain:
    client: Client
    errors: list[str]

    async def may_publish(self, subject: str) -> bool:
        return await self._may(self.client.publish(subject, b"{}"))

    async def may_subscribe(self, subject: str) -> bool:
        """``"<subject> <queue>"`` subscribes in that group."""
        name, _, queue = subject.partition(" ")

        async def subscribe() -> None:
            subscription = await self.client.subscribe(name, queue=queue)
            await self.settle()
            if not self.errors:
                await subscription.unsubscribe()

        return await self._may(subscribe())

    async def settle(self) -> None:
        """Return when the server has said what it has to say."""
        for _ in range(2):  # nats-py may write the PING ahead of what waits
            await asyncio.sleep(0)
            await self.client.flush()

    async def _may(self, attempt: object) -> bool:
        self.errors.clear()
        assert asyncio.iscoroutine(attempt)
        await attempt
        await self.settle()
        assert all("permissions violation" in error for error in self.errors), self.errors
        return not self.errors


@asynccontextmanager
async def plain(url: str, creds: Path) -> AsyncIterator[Plain]:
    """Connect as anybody would who found that file; plain nats-py, nothing of ours."""
    found = read_credentials(creds)
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors.append(str(error))

    client = await nats.connect(
        url,
        nkeys_seed_str=found.seed,
        inbox_prefix=found.inbox_prefix,
        error_cb=on_error,
        allow_reconnect=False,
    )
    try:
        yield Plain(client, errors)
    finally:
        await client.close()


@contextmanager
def guarded(data_dir: Path) -> Iterator[Guarded]:
    folder = CredentialsFolder(data_dir / "credentials")
    for kind, name, plugins in CAST:
        folder.create(kind, name, plugins)
    with EmbeddedBroker.start(data_dir=data_dir, account_file=folder.account_file) as broker:
        server = Guarded(broker.url, folder, broker)
        asyncio.run(_as_the_registry(server))
        yield server


async def _as_the_registry(server: Guarded) -> None:
    """Make streams and buckets, as only the registry may."""
    async with server.plain("registry") as registry:
        streams = registry.client.jetstream()
        for name, subject in subjects.STREAM_SUBJECTS.items():
            await streams.add_stream(name=name, subjects=[subject])
        for bucket in (subjects.CONFIG_BUCKET, subjects.STATE_BUCKET):
            await streams.create_key_value(bucket=bucket)
        assert registry.errors == []
