"""`hookbus`, of whose dispatcher recording was taken out: what does a message written cost?

python -m tests.bench.unrecorded serve dispatcher …
"""

from __future__ import annotations

from hookbus.cli import main
from hookbus.dispatch.decided import Decided
from hookbus.dispatch.recorder import StreamRecorder


def record(self: StreamRecorder, made: Decided) -> None:
    pass


def observe(self: StreamRecorder, inbound: object, event: bytes, made: Decided) -> None:
    pass


if __name__ == "__main__":
    StreamRecorder.record = record  # type: ignore[method-assign]
    StreamRecorder.observe = observe  # type: ignore[method-assign]
    main()
