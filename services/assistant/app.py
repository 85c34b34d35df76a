"""The assistant over HTTP: ``uvicorn services.assistant.app:app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from services.assistant.conversation import ON_UNAVAILABLE, Answer, Conversation, Question

STATUS: Final = {"answered": 200, "blocked": 403, "refused": 422, "undecided": 503}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Conversation]]:
    """Hold one connection to the bus until the last request is answered."""
    conversation = Conversation()
    async with conversation.bus:
        yield {"conversation": conversation}


app = FastAPI(title="assistant", lifespan=lifespan, max_body_size=64 * 1024)


@app.post("/messages")
async def messages(question: Question, request: Request, response: Response) -> Answer:
    """Answer a message; what is no 200 has the same shape."""
    conversation: Conversation = request.state.conversation
    retry_of, traceparent = map(request.headers.get, ("idempotency-key", "traceparent"))
    answer = await conversation.answer(question, retry_of or uuid4().hex, traceparent)
    response.status_code = STATUS[answer.status]
    return answer


@app.exception_handler(RequestValidationError)
async def no_question(request: Request, error: RequestValidationError) -> JSONResponse:
    """FastAPI's own answer repeats what came, and fails on half a character."""
    return JSONResponse({"status": "refused", "text": error.errors()[0]["msg"]}, 422)


@app.get("/healthz")
async def healthz(request: Request) -> dict[str, str]:
    """Say that this process is alive, and what it does while nobody can decide."""
    broker = "connected" if request.state.conversation.bus.is_connected else "unreachable"
    return {"status": "ok", "broker": broker, "on_unavailable": ON_UNAVAILABLE}
