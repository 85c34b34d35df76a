"""Flask, and whatever else has no event loop: `SyncEmitter`.

flask --app flask_emitter run
"""

from typing import Any

from flask import Flask, request

from hookbus import HookBlocked, InvalidEvent, SyncEmitter

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024

# One for all threads. It connects at the first emit, and again in each forked worker.
bus = SyncEmitter(source="/comments", on_unavailable="block")


@app.post("/comments")
def comments() -> dict[str, Any]:
    """Keep a comment, as the bus lets it through."""
    decision = bus.emit("message_received", request.get_json(), timeout=0.5)
    decision.raise_for_block()
    return {"kept": decision.data["text"]}


@app.errorhandler(HookBlocked)
def blocked(error: HookBlocked) -> tuple[dict[str, Any], int]:
    """Show the message and the id; the reason is for operators."""
    status = 403 if error.cause == "verdict" else 503  # said no, or could not be asked
    return {"message": error.message, "reference": error.id}, status


@app.errorhandler(InvalidEvent)
def refused(error: InvalidEvent) -> tuple[dict[str, Any], int]:
    """Nothing was decided: the bus does not take such an event."""
    return {"message": "not accepted", "pointer": error.pointer}, 422
