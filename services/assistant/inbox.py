"""The same for letters on NATS, which wait: ``faststream run services.assistant.inbox:app``."""

import os

from faststream import FastStream
from faststream.exceptions import NackMessage
from faststream.nats import JStream, NatsBroker, NatsMessage
from pydantic import ValidationError

from services.assistant.conversation import Answer, Conversation, Question

STREAM = JStream("ASSISTANT", subjects=["assistant.*"], max_age=86_400)  # seconds

# letters are none of the bus's: with --secure they need a broker, or an account, of their own
url = os.environ.get("ASSISTANT_NATS_URL") or "nats://127.0.0.1:4222"
broker = NatsBroker(url, max_reconnect_attempts=-1, graceful_timeout=10.0)
conversation = Conversation()
app = FastStream(broker, lifespan=conversation.lifespan)


@broker.subscriber("assistant.inbox", stream=STREAM, durable="assistant", pull_sub=True)
@broker.publisher("assistant.outbox")
async def on_letter(letter: NatsMessage) -> Answer:
    """Answer a letter; what nobody can decide comes again, as the same request."""
    request = f"letter-{letter.raw_message.metadata.sequence.stream}"
    try:  # here, not in the signature: FastStream would log what it cannot read, word for word
        question = Question.model_validate_json(letter.body)
    except ValidationError as e:
        return Answer(id=request, status="refused", text=e.errors()[0]["msg"])
    answer = await conversation.answer(question, request, letter.headers.get("traceparent"))
    if answer.status == "undecided":
        raise NackMessage(delay=2.0)
    return answer
