"""The streams of the bus, and one durable consumer per observing hook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hookbus import subjects
from hookbus.config.settings import Settings
from hookbus.snapshot import Binding
from hookbus.streams import ConsumerSpec, Streams, StreamSpec

_SETTING_OF: Final = {
    subjects.DECISIONS_STREAM: "DECISIONS",
    subjects.OBSERVE_STREAM: "OBSERVE",
    subjects.INPUTS_STREAM: "INPUTS",
    subjects.DLQ_STREAM: "DLQ",
}


async def ensure_streams(streams: Streams, settings: Settings) -> None:
    """Make every stream of the protocol as the settings want it."""
    for name, subject in subjects.STREAM_SUBJECTS.items():
        kept = getattr(settings.streams, _SETTING_OF[name])
        await streams.ensure_stream(
            StreamSpec(name, subject, kept.max_age, kept.max_bytes, settings.replicas)
        )


async def sync_consumers(streams: Streams, bindings: Iterable[Binding]) -> None:
    """Make the consumers of the bound observe hooks, and remove those of hooks that are gone.

    The consumer of a hook that is off stays, so that it keeps its place.
    """
    wanted = {spec.name: spec for spec in map(_consumer, bindings) if spec is not None}
    existing = {spec.name: spec for spec in await streams.consumers(subjects.OBSERVE_STREAM)}
    for name, spec in wanted.items():
        if existing.get(name) != spec:
            await streams.ensure_consumer(spec)
    for name in existing.keys() - wanted.keys():
        await streams.delete_consumer(subjects.OBSERVE_STREAM, name)


def _consumer(binding: Binding) -> ConsumerSpec | None:
    if binding.phase != "observe":
        return None
    return ConsumerSpec(
        stream=subjects.OBSERVE_STREAM,
        name=subjects.consumer(binding.plugin, binding.hook),
        filter_subject=subjects.observe(binding.type),
        deliver_subject=binding.subject,
        deliver_group=binding.plugin,
        is_paused=binding.mode == "off",
    )
