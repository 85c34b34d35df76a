"""Plugin and its hooks, as an author declares them; what is wrong is said where it is written."""

from __future__ import annotations

import inspect
import logging
import sys
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from hookbus import subjects
from hookbus.emitter import Emitter
from hookbus.errors import InvalidManifest, Problem
from hookbus.manifest.announcement import MAX_HOOKS
from hookbus.manifest.hook import HookOptions, parse_hook
from hookbus.manifest.semver import is_version
from hookbus.models import Decision, HookEvent, Mode, OnFailure, Phase, Verdict
from hookbus.plugin.chain import chain_of

Handler: TypeAlias = Callable[[HookEvent[Any]], Awaitable[Verdict | None] | Verdict | None]
ConfigCallback: TypeAlias = Callable[[dict[str, Any]], None]

_AnyHandler = TypeVar("_AnyHandler", bound=Callable[..., Any])

INTERRUPTED: Final = 130  # exit code after ctrl-C, as of a shell

log = logging.getLogger(__name__)

#: Set while a file is executed only to get at its plugin: its ``run()`` must not serve then.
loading: ContextVar[bool] = ContextVar("hookbus_loading", default=False)


class OnlyLoaded(BaseException):
    """Ends the execution of a file at its ``plugin.run()``; no ``except Exception`` stops it."""

    def __init__(self, plugin: Plugin) -> None:
        super().__init__(f"plugin {plugin.name!r} was loaded")
        self.plugin = plugin


@dataclass(frozen=True, slots=True)
class Hook:
    """A declared hook and who handles it.

    Attributes:
        options: what it asks for, as declared (``type``, ``phase``, ``timeout_ms``, …); the
            operator's settings win.
        handler: the function below ``@plugin.hook(…)``.
        payload: the model that the handler's annotation names; None hands over plain JSON values.
        is_async: a plain function runs in a thread.
    """

    options: HookOptions
    handler: Handler
    payload: type[BaseModel] | None
    is_async: bool


class Plugin:
    """A plugin: a name, a version, and hooks.

    Attributes:
        name: ``[a-z][a-z0-9-]*``, at most 63 characters; on the bus, and in the settings.
        version: SemVer: ``"1.0.0"``.
        candidate_of: the plugin that this one may take the place of one day. Until an operator says
            otherwise it is only asked beside that one, in shadow, and decides nothing.

    >>> plugin = Plugin("no-shouting", version="1.0.0")
    >>> @plugin.hook("message_received", phase="validate")
    ... async def calm(event: HookEvent[MessageReceived]) -> Verdict | None:
    ...     return Block("shouting") if event.data.text.isupper() else None
    >>> if __name__ == "__main__":
    ...     plugin.run()
    """

    def __init__(self, name: str, *, version: str, candidate_of: str | None = None) -> None:
        problems = []
        if not isinstance(name, str) or not subjects.is_name(name):
            problems.append(Problem("name", f"expected {subjects.NAME.pattern}, got {name!r}"))
        elif name in subjects.RESERVED_NAMES:
            problems.append(
                Problem("name", f"{name!r} is a name of the bus itself; choose another one")
            )
        if not isinstance(version, str) or not is_version(version):
            problems.append(
                Problem("version", f"expected a SemVer version such as '1.0.0', got {version!r}")
            )
        if candidate_of is not None and not _is_another(candidate_of, name):
            expected = f"expected another plugin's name, {subjects.NAME.pattern}"
            problems.append(Problem("candidate_of", f"{expected}, got {candidate_of!r}"))
        if problems:
            raise InvalidManifest(f"plugin {name!r}", tuple(problems))
        self.name = name
        self.version = version
        self.candidate_of = candidate_of
        self._hooks: dict[str, Hook] = {}
        self._config: dict[str, Any] = {}
        self._on_config: list[ConfigCallback] = []
        self._emitter: Emitter | None = None

    @property
    def hooks(self) -> Mapping[str, Hook]:
        """The declared hooks by name."""
        return self._hooks

    @property
    def config(self) -> dict[str, Any]:
        """The values of ``[plugins.NAME.config]`` in the operator's settings; empty until bound."""
        return self._config

    def on_config(self, callback: ConfigCallback) -> ConfigCallback:
        """Call *callback* with the new values whenever they change; usable as a decorator."""
        self._on_config.append(callback)
        return callback

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take *config* instead. A callback that raises keeps nobody else from hearing of it."""
        if config == self._config:
            return
        self._config = dict(config)
        for callback in self._on_config:
            try:
                callback(self._config)
            except Exception:
                log.exception("config_callback_failed plugin=%s", self.name)

    async def emit(self, type: str, data: Any, **kwargs: Any) -> Decision:
        """Fire an event of the plugin's own and return the decision; see :meth:`Emitter.emit`.

        Inside a handler the event carries the chain of plugins that led to it, so that a loop is
        cut; the plugin itself is never asked about what it emits.

        Raises:
            RuntimeError: The plugin is not being served.
        """
        return await self._served().emit(type, data, **chain_of(self.name), **kwargs)

    async def notify(self, type: str, data: Any, **kwargs: Any) -> None:
        """Tell the observers of *type*; see :meth:`Emitter.notify`."""
        await self._served().notify(type, data, **chain_of(self.name), **kwargs)

    def serve_with(self, emitter: Emitter | None) -> None:
        """Emit through *emitter* from now on; whoever serves the plugin calls this."""
        self._emitter = emitter

    def _served(self) -> Emitter:
        if self._emitter is None:
            raise RuntimeError(f"plugin {self.name!r} is not served; it can emit while run() runs")
        return self._emitter

    def hook(
        self,
        type: str,
        *,
        phase: Phase,
        name: str | None = None,
        priority: int | None = None,
        timeout_ms: int | None = None,
        min_ms: int | None = None,
        on_failure: OnFailure | None = None,
        mode: Mode | None = None,
        reinvoke: Literal["never", "if_needed"] | None = None,
        side_effects: Literal["none", "none_on_dry_run", "some"] | None = None,
        when: Sequence[str] | None = None,
        writable: Sequence[str] | None = None,
        rewrites: Sequence[str] | None = None,
        cache_ttl_ms: int | None = None,
        cache_key: Sequence[str] | None = None,
        retry: int | None = None,
        max_reply_bytes: int | None = None,
    ) -> Callable[[_AnyHandler], _AnyHandler]:
        """Declare a hook; the function below answers it.

        The options are wishes: the operator's settings win. What is left out is the bus's default.

        Args:
            type: an event type, or a pattern: ``chat.*``, ``chat.>``, ``>`` for every type.
            phase: ``mutate`` may change the data, ``validate`` may not, ``observe`` has no say.
            name: of the hook, unique within the plugin; by default the type in other letters.
                A pattern needs one.
            priority: -1000 … 1000, the lower is asked first; default 100.
            timeout_ms: milliseconds for one call, 1 … 30000; default 200.
            min_ms: milliseconds that earlier stages should leave; default 50.
            on_failure: what no usable answer counts as: ``closed`` (default) or ``open``.
            mode: what a verdict may do; default ``enforce``.
            reinvoke: ``if_needed``: a mutate hook is asked again when others changed the data
                behind it; default ``never``.
            side_effects: what asking does to the world: ``none`` (default), ``none_on_dry_run``,
                or ``some``, which blocks dry runs.
            when: CEL conditions on ``data`` and ``event``; all must hold.
            writable: JSON Pointers into ``data`` that an Intercept may change; default all.
            rewrites: JSON Pointers where overwriting an earlier plugin is no conflict.
            cache_ttl_ms: milliseconds for which a validate verdict holds for the same data; 0
                (default) asks each time.
            cache_key: JSON Pointers that a cached verdict depends on; none is all of ``data``.
            retry: how often a failed call is sent again within *timeout_ms*, 0 … 5; default 0.
            max_reply_bytes: bytes of the largest reply; default 262144.

        Raises:
            InvalidManifest: At once, naming every option that cannot be.
        """
        wished = {k: v for k, v in locals().items() if k not in ("self", "name") and v is not None}
        raw = {k: list(v) if isinstance(v, tuple) else v for k, v in wished.items()}
        if name is not None:
            raw["name"] = name
        options = parse_hook(raw)
        if not isinstance(options, HookOptions):
            raise InvalidManifest(f"plugin {self.name!r}, hook on {type!r}", options)
        self._check_room(options)

        def declare(handler: _AnyHandler) -> _AnyHandler:
            self._hooks[options.name] = Hook(
                options, handler, _payload_of(handler), inspect.iscoroutinefunction(handler)
            )
            return handler

        return declare

    def run(self) -> None:
        """Serve until SIGTERM or ctrl-C; the connection comes from the environment.

        What it cannot be served with ends the process with one line.

        Raises:
            RuntimeError: An event loop is running already; serve it there with ``PluginServer``.
        """
        if loading.get():
            raise OnlyLoaded(self)
        try:
            from hookbus.plugin.run import run  # the one place where an SDK import costs a process

            run(self)
        except KeyboardInterrupt:  # before the loop listens to it
            sys.exit(INTERRUPTED)

    def _check_room(self, options: HookOptions) -> None:
        if options.name in self._hooks:
            message = "expected a name of its own for each hook; set name="
            raise self._invalid(Problem(options.name, message))
        if len(self._hooks) >= MAX_HOOKS:
            message = f"expected at most {MAX_HOOKS} hooks"
            raise self._invalid(Problem("hooks", message))

    def _invalid(self, problem: Problem) -> InvalidManifest:
        return InvalidManifest(f"plugin {self.name!r}", (problem,))


def _is_another(candidate_of: object, name: str) -> bool:
    return isinstance(candidate_of, str) and subjects.is_name(candidate_of) and candidate_of != name


def _payload_of(handler: Callable[..., Any]) -> type[BaseModel] | None:
    """Find the model in ``event: HookEvent[MessageReceived]``."""
    parameters = list(inspect.signature(handler).parameters)
    if len(parameters) != 1:
        raise TypeError(
            f"{handler.__qualname__}: expected one parameter, the event, got {parameters}"
        )
    try:
        annotation = typing.get_type_hints(handler).get(parameters[0])
    except NameError as e:
        raise TypeError(
            f"{handler.__qualname__}: its annotations cannot be resolved ({e}); "
            "define the model at the top of the module"
        ) from e
    arguments = typing.get_args(annotation)
    if not arguments or not isinstance(arguments[0], type):
        return None
    return arguments[0] if issubclass(arguments[0], BaseModel) else None
