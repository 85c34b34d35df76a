"""A process that plays scripted plugins: one JSON object a line on its standard input and output.

{"n": 1, "case": "A02", "url": "nats://…", "do": "join", "with": {…}}  →  {"n": 1, "result": …}
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from hookbus.loop import run
from hookbus.transport import NatsTransport, Transport
from tests.conformance.cast import LocalCast

MAX_LINE = 64 * 1024 * 1024  # bytes; some cases are about large messages


class Player:
    """Plays the casts of several cases at once."""

    def __init__(self) -> None:
        self._casts: dict[str, LocalCast] = {}
        self._connections: dict[str, list[Transport]] = {}

    async def answer(self, order: Mapping[str, Any]) -> dict[str, Any]:
        case = order["case"]
        if order["do"] == "close":
            for transport in self._connections.pop(case, []):
                await transport.close()
            self._casts.pop(case, None)
            return {"n": order["n"], "result": None}
        if case not in self._casts:
            self._casts[case] = LocalCast(lambda principal: self._connect(case, order, principal))
        result = await self._casts[case].do(order["do"], **order["with"])
        return {"n": order["n"], "result": result}

    async def _connect(self, case: str, order: Mapping[str, Any], principal: str) -> Transport:
        transport = await NatsTransport.connect(order["url"], principal=principal)
        self._connections.setdefault(case, []).append(transport)
        return transport


class PlayerProcess:
    """A player in a process of its own, and the orders that wait for its answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls) -> PlayerProcess:
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, stdin=pipe, stdout=pipe, limit=MAX_LINE
            )
        )

    async def order(self, case: str, url: str, action: str, **arguments: Any) -> Any:
        """Give one order and return its result."""
        number = len(self._waiting)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        order = {"n": number, "case": case, "url": url, "do": action, "with": arguments}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await future

    async def forget(self, case: str) -> None:
        """Close the connections of one case."""
        await self.order(case, "", "close")

    async def kill(self) -> None:
        """End it as a crash does: SIGKILL."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            future = self._waiting[answer["n"]]
            if "error" in answer:
                future.set_exception(AssertionError(answer["error"]))
            else:
                future.set_result(answer["result"])
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(AssertionError("the player's process has ended"))


async def main() -> None:
    """Answer orders until the standard input ends."""
    reader = asyncio.StreamReader(limit=MAX_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    player = Player()
    running: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = loop.create_task(_carry_out(player, json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


async def _carry_out(player: Player, order: Mapping[str, Any]) -> None:
    try:
        answer = await player.answer(order)
    except Exception as e:  # the runner must hear of it, whatever it is
        answer = {"n": order["n"], "error": f"{type(e).__name__}: {e}"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(main())
