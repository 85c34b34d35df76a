"""The assistant over HTTP: ``uvicorn services.assistant.app:app``."""

from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from services.assistant.conversation import ON_UNAVAILABLE, Answer, Conversation, Question

conversation = Conversation()
STATUS = {"answered": 200, "blocked": 403, "refused": 422, "undecided": 503}
app = FastAPI(title="assistant", lifespan=conversation.lifespan, max_body_size=64 * 1024)


@app.post("/messages")
async def messages(question: Question, request: Request, response: Response) -> Answer:
    """Answer a message; what is no 200 has the same shape."""
    retry_of, trace = map(request.headers.get, ("idempotency-key", "traceparent"))
    answer = await conversation.answer(question, retry_of or uuid4().hex, trace)
    response.status_code = STATUS[answer.status]
    return answer


@app.exception_handler(RequestValidationError)
async def no_question(request: Request, error: RequestValidationError) -> Response:
    """FastAPI's own answer repeats what came, and fails on half a character."""
    answer = Answer(id="", status="refused", text=error.errors()[0]["msg"])
    return Response(answer.model_dump_json(), 422, media_type="application/json")


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that this process is alive, and what it does while nobody can decide."""
    broker = "connected" if conversation.bus.is_connected else "unreachable"
    return {"status": "ok", "broker": broker, "on_unavailable": ON_UNAVAILABLE}
