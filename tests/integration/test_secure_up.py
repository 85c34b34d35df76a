"""`hookbus up --secure`: everything works with credentials, and only with them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus import Decision, Emitter, SyncEmitter, Unavailable
from hookbus import local as hookbus_local
from hookbus.config.connection import Connection, nats_options
from hookbus.config.credentials import read_credentials
from hookbus.errors import (
    ConnectRefused,
    CredentialsError,
    PublishDenied,
    SettingsError,
    SubscriptionDenied,
)
from hookbus.transport import NatsTransport
from tests.integration.commands import (
    HOOKBUS,
    PATIENCE,
    Bus,
    clean_environment,
    eventually,
    hookbus,
    running,
    up,
)

pytestmark = pytest.mark.usefixtures("nats_server_program")

GUARD = """
from pathlib import Path
from hookbus import Block, HookEvent, Plugin

plugin = Plugin("guard", version="1.0.0")

@plugin.hook("message_received", phase="validate")
async def judge(event: HookEvent):
    return Block("no") if event.data["text"] == "no" else None

@plugin.hook(">", phase="observe", name="watch")
async def watch(event: HookEvent):
    with Path({seen!r}).open("a") as file:
        file.write(event.id + "\\n")

plugin.run()
"""


class SecureBus(Bus):
    """A running `hookbus up --secure --json`, and its credentials."""

    @property
    def folder(self) -> Path:
        return self.data_dir / "credentials"

    def creds(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def create(self, kind: str, name: str) -> Path:
        """Make credentials that the broker knows."""
        done = hookbus("credentials", "create", kind, name, "--folder", str(self.folder))
        assert done.returncode == 0, done.stderr
        eventually(lambda: self.gets_in(name))
        return self.creds(name)

    def gets_in(self, name: str) -> bool:
        return asyncio.run(gets_in(self.url, self.creds(name)))


async def gets_in(url: str, creds: Path) -> bool:
    found = read_credentials(creds)
    options = nats_options(Connection(creds=creds))
    try:
        transport = await NatsTransport.connect(url, principal=found.principal, options=options)
    except ConnectRefused:
        return False
    await transport.close()
    return True


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBus]:
    folder = tmp_path_factory.mktemp("secure")
    script = folder / "guard.py"
    script.write_text(GUARD.format(seen=str(folder / "seen")))
    with up(folder, "--secure", "--no-bundled", "--plugins", str(script)) as started:
        started.__class__ = SecureBus
        assert isinstance(started, SecureBus)
        yield started


def violations(bus: Bus) -> list[str]:
    log = (bus.data_dir / "nats-server.log").read_text()
    return re.findall(r"\w+ Violation.*", log)


def test_every_flow_works_with_the_rights_of_its_kind_and_no_more(bus: SecureBus) -> None:
    chat = bus.create("emitter", "chat")
    before = violations(bus)

    async def scenario() -> list[str]:
        async with Emitter.connect(bus.url, source="/chat", creds=chat) as emitter:
            decisions = [
                await emitter.emit("message_received", {"text": text}, id=text)
                for text in ("yes", "no")
            ]
            await emitter.notify("message_received", {"text": "told"}, id="told")
        return [decision.outcome + " for " + decision.principal for decision in decisions]

    assert asyncio.run(scenario()) == ["continue for chat", "block for chat"]
    seen = bus.data_dir.parent / "seen"
    eventually(lambda: {"yes", "no", "told"} <= set(seen.read_text().split()), FileNotFoundError)
    listed = bus_command(bus, "operator", "plugins", "mode", "guard", "shadow")
    assert listed == 0
    assert bus_command(bus, "operator", "plugins", "mode", "guard", "--reset") == 0
    assert violations(bus) == before


def test_an_emitter_that_dispatches_itself_needs_no_rights_but_its_kinds(bus: SecureBus) -> None:
    near = bus.create("local", "near")
    before = violations(bus)

    async def scenario() -> list[Decision]:
        async with hookbus_local.connect(
            bus.url, source="/near", creds=near, timeout=PATIENCE
        ) as emitter:
            yes = await emitter.emit("message_received", {"text": "yes"}, id="near-yes")
            await emitter.notify("message_received", {"text": "told"}, id="near-told")
            return [yes, await emitter.emit("message_received", {"text": "no"}, id="near-no")]

    decisions = asyncio.run(scenario())

    assert [decision.outcome for decision in decisions] == ["continue", "block"]
    assert {decision.principal for decision in decisions} == {"near"}
    seen = bus.data_dir.parent / "seen"
    wanted = {"near-yes", "near-no", "near-told"}
    eventually(lambda: wanted <= set(seen.read_text().split()), FileNotFoundError)
    found = hookbus(
        "decisions", "explain", decisions[1].id, url=bus.url, creds=str(bus.creds("operator"))
    )
    assert found.returncode == 0, found.stderr
    assert violations(bus) == before


def test_others_credentials_dispatch_nothing_and_are_told_why(
    bus: SecureBus, tmp_path: Path
) -> None:
    plain = bus.create("emitter", "plain")
    with pytest.raises(CredentialsError) as refused:
        hookbus_local.connect(bus.url, source="/plain", creds=plain)
    forged = tmp_path / "forged.json"
    forged.write_text(plain.read_text().replace('"emitter"', '"local"'))
    forged.chmod(0o600)

    async def scenario() -> None:
        connection = hookbus_local.connect(
            bus.url, source="/plain", creds=forged, on_unavailable="continue"
        )
        async with connection:
            raise AssertionError("it must not start")

    with pytest.raises(SubscriptionDenied) as denied:
        asyncio.run(scenario())

    words = str(refused.value)
    assert f"credentials {str(plain)!r} of 'plain': expected those of kind 'local'" in words
    assert "found 'emitter'" in words
    assert "'hookbus credentials create local NAME'" in words
    assert "the subscription to 'hookbus.reply." in str(denied.value)


def conformance(bus: SecureBus, who: str, *words: str) -> tuple[int, dict[str, str], str]:
    """Exit code, the status of each point of the guard's, and what was complained of."""
    command = ("conformance", "plugin", "guard", "--json", *words)
    done = hookbus(*command, url=bus.url, creds=str(bus.creds(who)) if who else "")
    findings = json.loads(done.stdout)["findings"] if done.stdout else []
    return done.returncode, {f["point"]: f["status"] for f in findings}, done.stderr


def test_a_dispatchers_credentials_are_enough_to_check_a_plugin(bus: SecureBus) -> None:
    before = violations(bus)

    code, points, stderr = conformance(bus, "dispatcher")

    assert (code, stderr) == (0, "")
    assert (points["answers"], points["announced"]) == ("pass", "pass")
    assert (points["service-api"], points["queue"]) == ("skipped", "skipped")
    assert violations(bus) == before


@pytest.mark.parametrize(
    ("who", "code", "words"),
    [
        (
            "operator",
            2,
            "is of operator 'operator'; expected a dispatcher's: plugins",
        ),
        ("", 5, "wants credentials"),
    ],
)
def test_others_credentials_check_no_plugin_and_are_told_why(
    bus: SecureBus, who: str, code: int, words: str
) -> None:
    found, points, stderr = conformance(bus, who)

    assert (found, points) == (code, {})
    assert words in stderr


def test_a_plugin_that_is_not_bound_is_said_to_a_dispatcher(bus: SecureBus) -> None:
    creds = str(bus.creds("dispatcher"))
    done = hookbus("conformance", "plugin", "nobody", url=bus.url, creds=creds)

    assert (done.returncode, done.stdout) == (5, "")
    assert (
        "plugin 'nobody' is not bound; bound are: guard; 'hookbus plugins' says why" in done.stderr
    )


def bus_command(bus: SecureBus, who: str, *words: str) -> int:
    environ = {"HOOKBUS_NATS_URL": bus.url, "HOOKBUS_CREDS": str(bus.creds(who))}
    with running([*HOOKBUS, *words], bus.data_dir.parent, **environ) as process:
        return process.wait()


NEXT = """
from hookbus import HookEvent, Plugin

plugin = Plugin("guard-next", version="1.1.0", candidate_of="guard")

@plugin.hook("message_received", phase="validate")
async def judge(event: HookEvent): ...

plugin.run()
"""


def test_inputs_are_a_backtesters_to_ask_about_and_not_an_operators(
    bus: SecureBus, tmp_path: Path
) -> None:
    chat, next_ = bus.create("emitter", "chat-2"), bus.create("plugin", "guard-next")
    bus.create("backtester", "tess")
    command = ("plugins", "backtest", "guard-next", "--since", "1h", "--json")
    (tmp_path / "next.py").write_text(NEXT)
    words = [sys.executable, str(tmp_path / "next.py")]
    before = len(violations(bus))

    with running(words, tmp_path, HOOKBUS_NATS_URL=bus.url, HOOKBUS_CREDS=str(next_)) as process:
        eventually(lambda: "is bound" in process.errors.read_text())
        with SyncEmitter.connect(bus.url, source="/x", creds=chat, timeout=5) as emitter:
            emitter.emit("message_received", {"text": "no"})
        done = hookbus(*command, url=bus.url, creds=str(bus.creds("tess")))
        assert len(violations(bus)) == before
        denied = hookbus(*command, url=bus.url, creds=str(bus.creds("operator")))

    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["kinds"]["verdict"] >= 1
    assert (denied.returncode, denied.stdout) == (5, "")
    assert "'hookbus credentials create backtester NAME'" in denied.stderr


def test_a_sync_emitter_takes_its_principal_from_the_file(bus: SecureBus) -> None:
    creds = bus.create("emitter", "celery")

    with SyncEmitter.connect(bus.url, source="/celery", creds=str(creds)) as emitter:
        decision = emitter.emit("message_received", {"text": "hi"})

    assert decision.principal == "celery"
    with pytest.raises(SettingsError, match=r"principal is 'chat', and creds=.* is of 'celery'"):
        SyncEmitter.connect(bus.url, source="/celery", principal="chat", creds=creds)


def test_the_environment_is_enough_for_an_emitter(
    bus: SecureBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOKBUS_NATS_URL", bus.url)
    monkeypatch.setenv("HOOKBUS_CREDS", str(bus.create("emitter", "service")))

    async def scenario() -> str:
        async with Emitter.connect(source="/service") as emitter:
            assert emitter.is_connected
            return (await emitter.emit("message_received", {"text": "hi"})).principal

    assert asyncio.run(scenario()) == "service"
    with SyncEmitter.connect(source="/service") as emitter:
        assert emitter.emit("message_received", {"text": "hi"}).principal == "service"


def test_a_viewer_sees_and_changes_nothing(bus: SecureBus) -> None:
    bus.create("viewer", "eve")

    assert bus_command(bus, "eve", "plugins") == 0
    assert bus_command(bus, "eve", "settings") == 0
    assert bus_command(bus, "eve", "plugins", "remove", "guard") == 5

    assert "guard" in bus_output(bus, "plugins")


def bus_output(bus: SecureBus, *words: str) -> str:
    environ = {"HOOKBUS_NATS_URL": bus.url, "HOOKBUS_CREDS": str(bus.creds("operator"))}
    with running([*HOOKBUS, *words], bus.data_dir.parent, **environ) as process:
        assert process.wait() == 0
        return process.rest()


def test_without_credentials_a_command_says_what_to_check(bus: SecureBus) -> None:
    done = hookbus("plugins", url=bus.url)

    assert done.returncode == 5
    assert "wants credentials" in done.stderr
    assert "set HOOKBUS_CREDS" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_emit_under_another_name_is_refused(bus: SecureBus) -> None:
    mallory = bus.create("emitter", "mallory")

    async def scenario() -> None:
        transport = await NatsTransport.connect(
            bus.url, principal="mallory", options=nats_options(Connection(creds=mallory))
        )
        emitter = Emitter(transport, source="/x", principal="shop")
        try:
            with pytest.raises(PublishDenied):
                await emitter.emit("message_received", {"text": "hi"})
        finally:
            await transport.close()

    asyncio.run(scenario())


def test_an_operator_who_emits_is_told_whose_credentials_it_takes(bus: SecureBus) -> None:
    words = ["emit", "message_received", "--data", '{"text": "hi"}']
    done = hookbus(*words, url=bus.url, creds=str(bus.creds("operator")))

    assert done.returncode == 5
    assert "operator 'operator' may not emit it: take an emitter's credentials" in done.stderr


def test_who_is_revoked_is_cut_off_and_stays_out(bus: SecureBus) -> None:
    creds = bus.create("emitter", "leaver")

    async def scenario() -> float:
        options = nats_options(Connection(creds=creds))
        transport = await NatsTransport.connect(bus.url, principal="leaver", options=options)
        cut = asyncio.Event()
        transport.on_disconnect(cut.set)
        bystander = await NatsTransport.connect(
            bus.url,
            principal="operator",
            options=nats_options(Connection(creds=bus.creds("operator"))),
        )
        bystander.on_disconnect(lambda: pytest.fail("the operator was cut off, too"))
        revoke = [*HOOKBUS, "credentials", "revoke", "leaver", "--folder", str(bus.folder)]
        process = await asyncio.create_subprocess_exec(*revoke, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0
        revoked = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            await cut.wait()
        took = time.monotonic() - revoked
        assert bystander.is_connected
        await bystander.close()
        await transport.close()
        return took

    kept = creds.read_text()
    took = asyncio.run(scenario())
    print(f"cut off {took * 1000:.0f} ms after the command had ended")
    assert not creds.exists()
    creds.write_text(kept)  # whoever kept a copy
    creds.chmod(0o600)
    assert not bus.gets_in("leaver")
    creds.unlink()


def test_who_is_rotated_comes_back_with_the_new_key_and_the_old_one_is_worth_nothing(
    bus: SecureBus, tmp_path: Path
) -> None:
    creds = bus.create("emitter", "keeper")
    copy = tmp_path / "keeper.json"
    copy.write_text(creds.read_text())
    copy.chmod(0o600)

    async def scenario() -> None:
        options = nats_options(Connection(creds=creds))
        transport = await NatsTransport.connect(bus.url, principal="keeper", options=options)
        back = asyncio.Event()
        transport.on_reconnect(back.set)
        rotate = [*HOOKBUS, "credentials", "rotate", "keeper", "--folder", str(bus.folder)]
        process = await asyncio.create_subprocess_exec(*rotate, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0
        async with asyncio.timeout(PATIENCE):
            await back.wait()
        await transport.close()

    asyncio.run(scenario())
    assert bus.gets_in("keeper")
    assert not asyncio.run(gets_in(bus.url, copy))


def test_a_plugin_that_is_rotated_goes_on_without_a_restart(bus: SecureBus) -> None:
    hookbus("credentials", "rotate", "guard", "--folder", str(bus.folder))

    def is_asked() -> bool:
        with SyncEmitter.connect(bus.url, source="/x", creds=bus.creds("operator2")) as emitter:
            decision = emitter.emit("message_received", {"text": "no"})
            return (decision.by, decision.cause) == ("guard", "verdict")

    bus.create("emitter", "operator2")
    eventually(lambda: is_asked(), Unavailable)


def test_files_are_for_their_owner_and_seeds_are_said_nowhere(bus: SecureBus) -> None:
    seeds = [read_credentials(file).seed for file in bus.folder.glob("[a-z]*.json")]
    assert stat.S_IMODE(bus.folder.stat().st_mode) == 0o700
    for file in bus.folder.glob("[a-z]*.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = [
        bus.process.errors,
        bus.folder / "account.conf",
        bus.folder / ".users.json",
        *bus.data_dir.glob("*.*"),
        *bus.data_dir.glob("logs/*"),
    ]
    for file in said:
        assert not any(seed in file.read_text(errors="replace") for seed in seeds), file


def test_up_says_how_to_operate_it_and_where_the_credentials_are(bus: SecureBus) -> None:
    assert bus.ready["creds"] == str(bus.creds("operator"))
    assert (
        f"to operate it: HOOKBUS_CREDS={bus.creds('operator')} hookbus plugins"
        in bus.process.errors.read_text()
    )


@pytest.mark.parametrize("role", ["dispatcher", "registry"])
def test_a_role_with_anothers_credentials_does_not_start(bus: SecureBus, role: str) -> None:
    done = serve(role, bus.url, bus.creds("guard"))

    assert done[0] == 2
    assert f"serve {role}: HOOKBUS_CREDS=" in done[1]
    assert "is of plugin 'guard'" in done[1]


@pytest.mark.parametrize("role", ["dispatcher", "registry"])
def test_a_role_whose_rights_are_a_plugins_does_not_start_and_names_the_subject(
    bus: SecureBus, role: str, tmp_path: Path
) -> None:
    """The file says what the server does not grant."""
    found = json.loads(bus.creds("guard").read_text())
    forged = tmp_path / "forged.json"
    forged.write_text(
        json.dumps({**found, "kind": role, "principal": role, "inbox_prefix": f"_INBOX.{role}"})
    )
    forged.chmod(0o600)

    code, errors = serve(role, bus.url, forged)

    assert code == 2, errors
    assert f"permissions refuse the subscription to '_INBOX.{role}." in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("role", ["dispatcher", "registry"])
def test_a_role_whose_key_nobody_knows_does_not_start(
    bus: SecureBus, role: str, tmp_path: Path
) -> None:
    hookbus("credentials", "create", role, role, "--folder", str(tmp_path))

    code, errors = serve(role, bus.url, tmp_path / f"{role}.json")

    assert code == 2, errors
    assert f"hookbus: {role}: {bus.url} refused the credentials" in errors
    assert "Traceback" not in errors


def serve(role: str, url: str, creds: Path) -> tuple[int, str]:
    command = [*HOOKBUS, "serve", role, "--http", "127.0.0.1:0"]
    environ = {"HOOKBUS_NATS_URL": url, "HOOKBUS_CREDS": str(creds)}
    with running(command, creds.parent, **environ) as process:
        return process.wait(), process.errors.read_text()


def test_a_plugin_with_anothers_credentials_does_not_start(bus: SecureBus, tmp_path: Path) -> None:
    script = tmp_path / "plugin.py"
    script.write_text(GUARD.format(seen="x").replace('"guard"', '"other"'))
    environ = {"HOOKBUS_NATS_URL": bus.url, "HOOKBUS_CREDS": str(bus.creds("guard"))}

    with running([os.sys.executable, str(script)], tmp_path, **environ) as process:
        assert process.wait() == 1
        errors = process.errors.read_text()

    assert "is of plugin 'guard'; expected those of plugin 'other'" in errors
    assert "credentials create plugin other" in errors


def test_a_second_start_keeps_the_credentials(tmp_path: Path) -> None:
    seeds = []
    for _ in range(2):
        with up(tmp_path, "--secure", "--no-bundled") as started:
            seeds.append(read_credentials(Path(started.ready["creds"])).seed)

    assert seeds[0] == seeds[1]


def test_a_bus_without_authentication_says_so_in_one_line(tmp_path: Path) -> None:
    environ = {"HOOKBUS_CREDS": "/nowhere", "HOOKBUS_TLS_CA": "/nowhere"}  # not meant for children
    command = [*HOOKBUS, "up", "--port", "0", "--no-bundled", "--data", str(tmp_path), "--json"]
    with running(command, tmp_path, **environ) as process:
        ready = json.loads(process.line())
        errors = process.errors.read_text()

    assert ready["creds"] is None
    assert errors.splitlines() == [
        f"hookbus: no authentication: whoever reaches {ready['nats_url']} may do everything;"
        " 'hookbus up --secure' asks for credentials"
    ]
    assert clean_environment().get("HOOKBUS_CREDS") is None
