"""The ways of single processes to the broker, each of which a test can delay, cut or silence."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from tests.flow.proxy import Proxy


class Links:
    """Proxies by name; they run in a thread, so that the load's own loop does not carry them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, proxies: Mapping[str, Proxy]) -> None:
        """Use `links`."""
        self._loop = loop
        self._proxies = proxies
        self.urls: dict[str, str] = {}

    def delay(self, name: str, seconds: float) -> None:
        """Let every byte take longer, each way."""
        self._do(lambda: setattr(self._proxies[name], "delay", seconds))

    def cut(self, name: str) -> None:
        """Reset all connections, and refuse new ones."""
        self._do(self._proxies[name].cut)

    def silence(self, name: str) -> None:
        """Swallow what comes, from both ends; what is open stays so for ever."""
        self._do(self._proxies[name].silence)

    def mend(self, name: str) -> None:
        """Carry new connections, without a delay."""
        self.delay(name, 0.0)
        self._do(self._proxies[name].mend)

    def _do(self, change: Callable[[], None]) -> None:
        async def do() -> None:
            change()

        asyncio.run_coroutine_threadsafe(do(), self._loop).result()


@contextmanager
def links(port: int, names: Iterable[str]) -> Iterator[Links]:
    """Lead to a broker's *port*, one way for each of *names*."""
    loop = asyncio.new_event_loop()
    proxies = {name: Proxy(port) for name in names}
    made = Links(loop, proxies)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        for name, proxy in proxies.items():
            listening = asyncio.run_coroutine_threadsafe(proxy.start(), loop).result()
            made.urls[name] = f"nats://127.0.0.1:{listening}"
        yield made
    finally:
        for proxy in proxies.values():
            asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
