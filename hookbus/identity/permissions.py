"""What each kind of principal may publish and subscribe to; docs/protocol.md shows it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from hookbus import subjects

Kind = Literal[
    "emitter",
    "plugin",
    "dispatcher",
    "registry",
    "runner",
    "operator",
    "viewer",
    "backtester",
    "local",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

#: Kinds whose replicas are one principal, whatever their credentials are called.
ROLES: Final = ("dispatcher", "registry")

#: Answers to one request, and how long they may take: an observer's message may say "working" for
#: five minutes, one every ten seconds, but each time as an answer of its own to the stream.
MAX_RESPONSES: Final = 16
RESPONSES_EXPIRE: Final = "2m"

_READING: Final = ("list", "settings", "history", "types", "wait_generation")
_PUBLIC_QUESTIONS: Final = tuple(subjects.service(verb) for verb in ("PING", "INFO", "STATS"))
_ALL_STREAMS: Final = tuple(subjects.STREAM_SUBJECTS)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects of one user. *subscribe* may be ``"<subject> <queue>"``: in that group only.

    Whoever *may_respond* may also publish on the reply subjects of what it was sent.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    may_respond: bool = False


def principal_of(kind: Kind, name: str) -> str:
    """Who a credential called *name* is on the bus: replicas of a role are one principal."""
    return kind if kind in ROLES else name


def permissions_of(kind: Kind, name: str, plugins: Sequence[str] = ()) -> Permissions:
    """List what a principal may do; *plugins* are those that a runner runs."""
    match kind:
        case "emitter":
            return Permissions(_emitting(name), (_inbox(name),))
        case "plugin":
            return _plugin(name)
        case "dispatcher":
            return _dispatcher()
        case "registry":
            return _registry()
        case "runner":
            return _runner(name, plugins)
        case "operator":
            return _operator(name)
        case "backtester":
            return _backtester(name)
        case "local":
            return _local(name)
    return _viewer(name)


def _plugin(name: str) -> Permissions:
    return Permissions(
        publish=(*_answering(name), *_emitting(name)),
        subscribe=(*_serving(name), _inbox(name), *_service(name)),
        may_respond=True,
    )


def _runner(name: str, plugins: Sequence[str]) -> Permissions:
    """What its plugins may do, over one connection with one inbox."""
    heard = [s for plugin in plugins for s in (*_serving(plugin), *_service(plugin))]
    return Permissions(
        publish=tuple(s for p in plugins for s in (*_answering(p), *_emitting(p))),
        # each once: all of them are asked what everybody is asked
        subscribe=tuple(dict.fromkeys([*heard, _inbox(name), *_service(subjects.RUNNER_SERVICE)])),
        may_respond=True,
    )


def _dispatcher() -> Permissions:
    return Permissions(
        publish=_deciding(),
        subscribe=(
            f"{subjects.EMIT_ALL} {subjects.DISPATCHER_QUEUE}",
            f"{subjects.NOTIFY_ALL} {subjects.DISPATCHER_QUEUE}",
            f"{subjects.REPLY}>",
            _inbox("dispatcher"),
            *_service(subjects.DISPATCHER_SERVICE),
        ),
    )


def _local(name: str) -> Permissions:
    """A dispatcher in the process of its emitter: it hears no event of others.

    Not `may_respond`: viewers ask dispatchers, who answer inboxes only, as `_looking` says.
    """
    return Permissions(
        publish=_deciding(),
        subscribe=(
            f"{subjects.REPLY}>",
            subjects.announced("*"),
            _inbox(name),
            *_service(subjects.DISPATCHER_SERVICE),
        ),
    )


def _deciding() -> tuple[str, ...]:
    """Ask plugins, answer, record what came of it, and follow the configuration."""
    bucket = subjects.bucket_stream(subjects.CONFIG_BUCKET)
    # each with and without more tokens: the API's newer forms name key or consumer in the subject
    reading = [
        subject
        for operation in ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET", "CONSUMER.CREATE")
        for subject in (_api(operation, bucket), _api(operation, bucket, ">"))
    ]
    return (
        "hookbus.call.>",
        "hookbus.decision.>",
        "hookbus.observe.>",
        "hookbus.input.>",
        f"{subjects.INBOX}>",
        *reading,
        _api("CONSUMER.INFO", bucket, ">"),
        _api("CONSUMER.DELETE", bucket, ">"),
        "$JS.FC.>",
    )


def _registry() -> Permissions:
    return Permissions(
        publish=(
            f"{subjects.INBOX}>",
            "$JS.API.>",
            "$JS.ACK.>",
            f"$KV.{subjects.CONFIG_BUCKET}.>",
            f"$KV.{subjects.STATE_BUCKET}.>",
            "hookbus.config.>",
            "hookbus.dlq.>",
            subjects.RETRY_ALL,
            "$SRV.>",
        ),
        subscribe=(
            f"{subjects.ANNOUNCE_ALL} {subjects.REGISTRY_QUEUE}",
            f"{subjects.CONTROL_ALL} {subjects.REGISTRY_QUEUE}",
            "$JS.EVENT.ADVISORY.>",
            _inbox("registry"),
            *_service(subjects.REGISTRY_SERVICE),
        ),
    )


def _operator(name: str) -> Permissions:
    return Permissions(
        publish=(
            subjects.control(name, ">"),
            *_looking(),
            *(_api("STREAM.INFO", stream) for stream in _ALL_STREAMS),
            _api("CONSUMER.CREATE", subjects.DECISIONS_STREAM, ">"),
        ),
        subscribe=(subjects.STREAM_SUBJECTS[subjects.DECISIONS_STREAM], _inbox(name)),
    )


def _viewer(name: str) -> Permissions:
    """An operator who changes nothing, and reads no payload: neither inputs nor observed events."""
    return Permissions(
        publish=(
            *(subjects.control(name, operation) for operation in _READING),
            *_looking(),
            _api("STREAM.INFO", subjects.DECISIONS_STREAM),
            _api("CONSUMER.CREATE", subjects.DECISIONS_STREAM, ">"),
        ),
        subscribe=(subjects.STREAM_SUBJECTS[subjects.DECISIONS_STREAM], _inbox(name)),
    )


def _backtester(name: str) -> Permissions:
    """A viewer who also reads recorded inputs, which are payloads, and emits them again."""
    viewer, stream = _viewer(name), subjects.INPUTS_STREAM
    return Permissions(
        publish=(
            *viewer.publish,
            _api("STREAM.INFO", stream),
            _api("CONSUMER.CREATE", stream, ">"),
            subjects.emit(name, ">"),
        ),
        subscribe=viewer.subscribe,
    )


def _looking() -> tuple[str, ...]:
    """Questions to the bus's own roles, which answer inboxes only.

    Never to plugins: whoever asks names the reply subject, and a plugin may respond there with
    anything. Together the two could operate, emit as another and forge a decision.
    """
    roles = (subjects.DISPATCHER_SERVICE, subjects.REGISTRY_SERVICE)
    return tuple(subjects.service("*", role) for role in roles)


def _emitting(name: str) -> tuple[str, ...]:
    return (subjects.emit(name, ">"), subjects.notify(name, ">"))


def _answering(plugin: str) -> tuple[str, ...]:
    return (f"{subjects.REPLY}*.*.{plugin}", subjects.announce(plugin))


def _serving(plugin: str) -> tuple[str, ...]:
    return (f"{subjects.call(plugin, '>')} {plugin}", subjects.config(plugin))


def _service(name: str) -> tuple[str, ...]:
    """The Service API's questions to everybody, and to this service and its instances.

    Not ``$SRV.*``: nats-server takes ``$SRV.>`` for one of those, and whoever hears what others are
    asked may answer in their names.
    """
    return (*_PUBLIC_QUESTIONS, subjects.service("*", name), subjects.service("*", name, "*"))


def _inbox(principal: str) -> str:
    return f"{subjects.inbox(principal)}.>"


def _api(operation: str, *tokens: str) -> str:
    return ".".join(("$JS.API", operation, *tokens))
