"""SyncBus: a whole bus for a test, without an event loop in sight."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self, get_args

from hookbus import operations, subjects
from hookbus.broker import EmbeddedBroker
from hookbus.config.load import read_settings
from hookbus.config.settings import parse_settings, to_tree
from hookbus.emitter import DEFAULT_TIMEOUT, Emitter, OnUnavailable
from hookbus.errors import InvalidManifest, Problem, UnavailableCode
from hookbus.models import Decision, Phase
from hookbus.plugin import Plugin, PluginServer
from hookbus.sync_emitter import SyncEmitter
from hookbus.testing.backends import MemoryBackend, NatsBackend
from hookbus.testing.bridge import Bridge, BridgedSyncEmitter
from hookbus.testing.bus import Bus
from hookbus.testing.bus_thread import PATIENCE, AskedLoop, BusThread
from hookbus.testing.script import Answer, Answers, Script

SOURCE: Final = "/test"
TIMEOUT: Final = 5.0  # seconds for an emit that says nothing else: room for a busy machine
POLL: Final = 0.002  # seconds


class SyncBus:
    """A whole bus for one test: registry, dispatcher and plugins, in memory or on a real broker.

        with SyncBus() as bus:
            bus.answers("guard", "tool_invoked", Block("no"))
            assert_blocks(bus.emit("tool_invoked", {"name": "bash", "args": {}}), by="guard")

    It runs on a thread of its own, so it can be used from plain and from ``async`` tests, and so do
    the handlers of plugins. In memory time is virtual: it moves only where the code waits, so a
    timeout is exact and costs nothing, and a slow machine makes none; while a handler has a socket
    or a thread at work, time passes as it really does. On a real broker all is real.

    Args:
        data_dir: where a real nats-server keeps its files; None does without one, in memory.

    Raises:
        BrokerError: nats-server cannot be found or started.
    """

    def __init__(self, data_dir: Path | None = None) -> None:
        self._broker: EmbeddedBroker | None = None
        self._memory = MemoryBackend()
        if data_dir is not None:
            self._broker = EmbeddedBroker.start(data_dir=data_dir)
        self._thread = BusThread(asyncio.new_event_loop if self._broker else AskedLoop)
        self._bus = Bus(NatsBackend(self._broker) if self._broker else self._memory)
        self._tree: dict[str, Any] = {}
        self._servers: dict[str, PluginServer] = {}
        self._scripts: dict[str, Script] = {}
        try:
            self._thread.run(self._start())
        except BaseException:
            self.close()
            raise
        self._emitter = self.sync_emitter(timeout=TIMEOUT)

    def close(self) -> None:
        """Stop all of it; plugins say goodbye first. A second close does nothing."""
        if self._thread.is_stopped:
            return
        try:
            self._thread.run(self._bus.__aexit__())
        finally:
            self._thread.stop()
            if self._broker is not None:
                self._broker.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the real broker is, for code that connects itself: ``nats://127.0.0.1:…``.

        With pytest it stands in ``HOOKBUS_NATS_URL``, too, so ``Emitter.connect(source=…)`` finds
        it as it finds the bus in production.

        Raises:
            RuntimeError: The bus is in memory, where only what :meth:`emitter` gives can reach it.
        """
        if self._broker is None:
            raise RuntimeError(
                "a bus in memory has no URL: hand in hookbus.emitter() or hookbus.sync_emitter(), "
                "or mark the test with @pytest.mark.hookbus_broker for a real broker"
            )
        return self._broker.url

    def settings(self, file: Path | None = None, **tree: Any) -> None:
        """Put settings in force in place of all before; return when they are.

        Args:
            file: a settings file; *tree* then wins over its top fields.
            tree: the tables of a settings file as dicts: ``timeout_ms=500``,
                ``plugins={"guard": {"hooks": {"tool-invoked": {"mode": "shadow"}}}}``. The mode
                is development unless it says otherwise.

        Raises:
            SettingsError: They cannot be used; a line for each reason.
        """
        if file is not None and not isinstance(file, Path):
            raise TypeError(
                "settings: expected a Path, or tables by name as in settings(timeout_ms=500);"
                f" got {file!r}"
            )
        said = to_tree(read_settings(file, {}, default_mode="development").settings) if file else {}
        self._put({"mode": "development", **said, **tree})

    def plug(self, plugin: Plugin, *, config: Mapping[str, Any] | None = None) -> None:
        """Serve *plugin*; return when it is asked. One of its name that was there before goes.

        Args:
            config: becomes ``plugin.config``, as ``[plugins.NAME.config]`` in the settings does.

        Raises:
            InvalidManifest: The bus does not bind it, and why.
        """
        if not isinstance(plugin, Plugin):
            found = type(plugin).__name__
            raise TypeError(f"plug: expected the Plugin that your file makes, got a {found}")
        if config is not None:
            named = dict(self._tree.get("plugins", {}))
            named[plugin.name] = {**named.get(plugin.name, {}), "config": dict(config)}
            self._put({**self._tree, "plugins": named})
        if plugin.name in self._servers:
            self.unplug(plugin.name)
        server = self._servers[plugin.name] = self._thread.run(self._bus.serve(plugin))
        answered = server.answered
        if answered is not None and answered.state != "bound":
            found = (Problem(p.get("at", ""), p.get("message", "")) for p in answered.problems)
            raise InvalidManifest(f"plugin {plugin.name!r} is {answered.state}", tuple(found))

    def unplug(self, name: str) -> None:
        """Let a plugin say goodbye and go; return when nobody asks it any more.

        Raises:
            LookupError: No plugin of that name is plugged in.
        """
        self._scripts.pop(name, None)
        self._thread.run(self._bus.leave(self._taken(name)))

    def kill(self, name: str) -> None:
        """Take a plugin away as ``kill -9`` does: it stays bound, and answers nobody.

        What it is asked from now on fails as ``no_responders``.

        Raises:
            LookupError: No plugin of that name is plugged in.
        """
        self._scripts.pop(name, None)
        self._thread.run(self._bus.kill(self._taken(name)))

    def answers(
        self, plugin: str, type: str, *answers: Answer, phase: Phase | None = None, **options: Any
    ) -> Answers:
        """Let a plugin *plugin* answer events of *type*; return what it is asked.

            guard = hookbus.answers("guard", "tool_invoked", Block("no"), Continue())
            hookbus.answers("slow", "tool_invoked", TimeoutError())
            hookbus.answers("broken", "tool_invoked", RuntimeError("boom"), on_failure="open")

        Args:
            answers: one for each event in turn, the last one for ever; none is Continue. A verdict;
                a function that gets the ``HookEvent`` and returns one; or an exception: the plugin
                then fails as ``service_error``, with ``TimeoutError()`` as ``timeout``.
            phase: by default mutate if one of them is an Intercept, else validate.
            options: as of :meth:`hookbus.Plugin.hook`, such as ``priority``, ``on_failure``,
                ``timeout_ms``.

        Said again of the same type it replaces the answers; another type is one more hook.

        Raises:
            InvalidManifest, TypeError: A name, a type or an option cannot be.
        """
        if not isinstance(plugin, str) or not isinstance(type, str):
            raise TypeError(
                "answers: expected a plugin's name and an event type, as in"
                f" answers('guard', 'tool_invoked', Block('no')); got {plugin!r}, {type!r}"
            )
        script = self._scripts.get(plugin) or Script(plugin)
        said = script.set(type, answers, phase, options)
        self.plug(script.plugin())
        self._scripts[plugin] = script
        return said

    def emit(self, type: str, data: Any, **kwargs: Any) -> Decision:
        """Fire an event and return the decision; see :meth:`hookbus.Emitter.emit`.

        Its timeout is 5 s if it names none. In an ``async`` test this holds up the test's loop
        until the decision is there, which does no harm; ``await hookbus.emitter().emit(…)`` does
        not.
        """
        return self._emitter.emit(type, data, **kwargs)

    def notify(self, type: str, data: Any, **kwargs: Any) -> None:
        """Tell the observers of *type*; see :meth:`hookbus.Emitter.notify`."""
        self._emitter.notify(type, data, **kwargs)

    def emitter(
        self,
        *,
        source: str = SOURCE,
        principal: str = subjects.ANONYMOUS,
        on_unavailable: OnUnavailable = "raise",
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> Emitter:
        """Make an :class:`hookbus.Emitter` on this bus, to hand to the code under test.

        It is open already, and works on any asyncio event loop. *source*, *principal*,
        *on_unavailable* and *timeout* (seconds, 1 by default) are as of :class:`hookbus.Emitter`.
        """
        return Emitter(
            Bridge(self._thread, self._bus.transport),
            source=source,
            principal=principal,
            on_unavailable=on_unavailable,
            timeout=timeout,
        )

    def sync_emitter(
        self,
        *,
        source: str = SOURCE,
        principal: str = subjects.ANONYMOUS,
        on_unavailable: OnUnavailable = "raise",
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> SyncEmitter:
        """Make a :class:`hookbus.SyncEmitter` on this bus, to hand to the code under test.

        *source*, *principal*, *on_unavailable* and *timeout* (seconds, 1 by default) are as of
        :class:`hookbus.Emitter`.
        """
        options: dict[str, Any] = {
            "source": source,
            "principal": principal,
            "on_unavailable": on_unavailable,
            "timeout": timeout,
        }
        emitter = Emitter(self._bus.transport, **options)
        return BridgedSyncEmitter(self._thread, emitter, **options)

    @contextlib.contextmanager
    def unavailable(self, code: UnavailableCode) -> Iterator[None]:
        """Have no decision for anybody within the ``with`` block; all is well again behind it.

            with hookbus.unavailable("no_responders"):
                response = client.post("/chat", json={"text": "hi"})  # what does a user see now?

        Args:
            code: of the :class:`hookbus.Unavailable` that emits end with: ``no_responders`` (no
                dispatcher runs), ``timeout`` (one runs and does not answer), or ``disconnected``
                (the broker is gone).

        Raises:
            ValueError: *code* is none of them.
        """
        if code not in get_args(UnavailableCode):
            known = ", ".join(get_args(UnavailableCode))
            raise ValueError(f"unavailable: expected one of {known}, got {code!r}")
        if code == "disconnected":
            self._lose_broker()
        else:
            self._thread.run(self._bus.stop_dispatchers())
        silence = self._thread.run(self._bus.be_silent()) if code == "timeout" else []
        try:
            yield
        finally:
            for subscription in silence:
                self._thread.run(subscription.drain())
            if code == "disconnected":
                self._regain_broker()
            else:
                self._thread.run(self._bus.start_dispatcher())
            self._thread.run(self._bus.ready())

    def until(self, is_true: Callable[[], Any], patience: float = PATIENCE) -> None:
        """Wait for what comes behind a decision: what observers see, what shadows are asked.

            hookbus.until(lambda: seen == ["hi"])

        Args:
            is_true: is looked at again and again, on the thread of the test.
            patience: real seconds.

        Raises:
            TimeoutError: It did not become true.
        """
        ends = time.monotonic() + patience
        while not is_true():
            if time.monotonic() > ends:
                raise TimeoutError(f"it did not become true within {patience:g} s")
            self._thread.run(asyncio.sleep(POLL))
            time.sleep(POLL / 2)  # the bus's thread wants to run, and in memory it does not wait

    async def _start(self) -> None:
        await self._bus.__aenter__()
        await self._bus.start_registry()
        await self._bus.start_dispatcher()
        await self._bus.ready()

    def _put(self, tree: Mapping[str, Any]) -> None:
        parse_settings(tree, "the test's settings")  # to say it here what is wrong
        self._thread.run(self._apply(dict(tree)))
        self._tree = dict(tree)

    async def _apply(self, tree: dict[str, Any]) -> None:
        await operations.request(self._bus.transport, "test", "apply", settings=tree)
        for server in self._servers.values():  # the answer holds a plugin's new configuration
            server.announce_again()
            await server.announced()
        await self._bus.served()

    def _taken(self, name: str) -> PluginServer:
        if name not in self._servers:
            known = ", ".join(self._servers) or "none"
            raise LookupError(f"no plugin {name!r} is plugged in; there are: {known}")
        return self._servers.pop(name)

    def _lose_broker(self) -> None:
        if self._broker is not None:
            os.kill(self._broker.pid, signal.SIGKILL)
        self._thread.run(self._see(is_there=False))

    def _regain_broker(self) -> None:
        if self._broker is not None:
            self._broker.restart()
        self._thread.run(self._see(is_there=True))

    async def _see(self, *, is_there: bool) -> None:
        """Return when the emitters know that the broker is there, or is not."""
        transport = self._bus.transport  # of all emitters
        if self._broker is None:
            (self._memory.mend if is_there else self._memory.cut)(transport)
        await self._bus.until(lambda: transport.is_connected == is_there)
