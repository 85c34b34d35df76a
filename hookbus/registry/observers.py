"""The streams of the bus, and one durable consumer per observing hook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from hookbus import subjects
from hookbus.config.settings import Settings
from hookbus.config.units import DAY, MIB
from hookbus.snapshot import Binding
from hookbus.streams import ConsumerSpec, Streams, StreamSpec
from hookbus.wire.redelivery import Redelivery

_SETTING_OF: Final = {
    subjects.DECISIONS_STREAM: "DECISIONS",
    subjects.OBSERVE_STREAM: "OBSERVE",
    subjects.INPUTS_STREAM: "INPUTS",
    subjects.DLQ_STREAM: "DLQ",
}
_MORE_SUBJECTS: Final = {subjects.OBSERVE_STREAM: (subjects.RETRY_ALL,)}
#: Seconds for which it is known which dead letters are written: a registry may die between writing
#: one and saying so, and another one comes later.
_DUPLICATES: Final = {subjects.DLQ_STREAM: 3_600.0}

_ADVISORIES: Final = StreamSpec(
    subjects.ADVISORIES_STREAM,
    subjects.ADVISORY_SUBJECTS[0],
    max_age=30 * DAY,
    max_bytes=16 * MIB,  # some 50,000 of them
    more_subjects=subjects.ADVISORY_SUBJECTS[1:],
    is_work_queue=True,
)
ADVISED: Final = ConsumerSpec(
    subjects.ADVISORIES_STREAM,
    subjects.ADVISORIES_CONSUMER,
    subjects.ADVISORY_SUBJECTS[0],
    subjects.ADVISORIES_INBOX,
    subjects.REGISTRY_QUEUE,
    max_deliver=-1,
    more_filters=subjects.ADVISORY_SUBJECTS[1:],
    start=1,
)


async def ensure_streams(streams: Streams, settings: Settings) -> None:
    """Make every stream of the protocol as the settings want it."""
    for name, subject in subjects.STREAM_SUBJECTS.items():
        kept = getattr(settings.streams, _SETTING_OF[name])
        spec = StreamSpec(
            name,
            subject,
            kept.max_age,
            kept.max_bytes,
            settings.replicas,
            more_subjects=_MORE_SUBJECTS.get(name, ()),
            duplicate_window=_DUPLICATES.get(name, 120.0),
        )
        await streams.ensure_stream(spec)
    # who has little room for letters has no more for what becomes letters
    most = min(_ADVISORIES.max_bytes, settings.streams.DLQ.max_bytes)
    await streams.ensure_stream(replace(_ADVISORIES, max_bytes=most, replicas=settings.replicas))
    await streams.ensure_consumer(ADVISED)


async def sync_consumers(
    streams: Streams, bindings: Iterable[Binding], redelivery: Redelivery
) -> None:
    """Make the consumers of the bound observe hooks, and remove those of hooks that are gone.

    The consumer of a hook that is off stays, so that it keeps its place.
    """
    specs = (consumer_of(binding, redelivery) for binding in bindings)
    wanted = {spec.name: spec for spec in specs if spec is not None}
    existing = {spec.name: spec for spec in await streams.consumers(subjects.OBSERVE_STREAM)}
    for name, spec in wanted.items():
        if existing.get(name) != spec:
            await streams.ensure_consumer(spec)
    for name in existing.keys() - wanted.keys():
        await streams.delete_consumer(subjects.OBSERVE_STREAM, name)


def consumer_of(
    binding: Binding, redelivery: Redelivery, start: int | None = None
) -> ConsumerSpec | None:
    """The consumer of an observing hook, and None for any other.

    A new one begins at *start*, a sequence of the stream, else with what comes from now on.
    """
    if binding.phase != "observe":
        return None
    return ConsumerSpec(
        stream=subjects.OBSERVE_STREAM,
        name=subjects.consumer(binding.plugin, binding.hook),
        filter_subject=subjects.observe(binding.type),
        deliver_subject=binding.subject,
        deliver_group=binding.plugin,
        ack_wait=redelivery.ack_wait_ms / 1_000,
        max_deliver=redelivery.max_deliver,
        is_paused=binding.mode == "off",
        more_filters=(subjects.retry(binding.plugin, binding.hook),),
        start=start,
    )
