"""FastAPI: a dependency that asks the bus, so that an endpoint only sees what it may work with.

uvicorn fastapi_dependency:app
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request

from hookbus import Emitter, HookBlocked, InvalidEvent, MessageReceived


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Emitter]]:
    """Hold one connection for all requests; without a broker, every request is a 503."""
    async with Emitter.connect(source="/comments", on_unavailable="block") as bus:
        yield {"bus": bus}


app = FastAPI(lifespan=lifespan)


async def decided(message: MessageReceived, request: Request) -> MessageReceived:
    """Return the message as the bus lets it through; otherwise the endpoint is not called."""
    bus: Emitter = request.state.bus
    try:
        decision = await bus.emit("message_received", message)
        decision.raise_for_block()
    except InvalidEvent as e:  # nothing was decided: the bus does not take such an event
        raise HTTPException(422, {"message": "not accepted", "pointer": e.pointer}) from e
    except HookBlocked as e:  # its reason is for operators: show the message, and the id
        status = 403 if e.cause == "verdict" else 503  # said no, or could not be asked
        raise HTTPException(status, {"message": e.message, "reference": e.id}) from e
    return MessageReceived.model_validate(decision.data)


@app.post("/comments")
async def comments(message: Annotated[MessageReceived, Depends(decided)]) -> dict[str, str]:
    """Keep a comment."""
    return {"kept": message.text}
