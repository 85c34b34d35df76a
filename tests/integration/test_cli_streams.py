"""What a command does on a broken terminal, under ctrl-C, and with arguments of any bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.commands import HOOKBUS, clean_environment, hookbus

NOBODY = "nats://127.0.0.1:1"
COMMANDS = (
    (0, "--help"),
    (0, "--version"),
    (2, "nonsense"),
    (2, "settings check nothing.toml"),
    (2, "emit tool_invoked --data -"),
    (5, f"plugins --url {NOBODY}"),
)
INTERRUPTED = """\
import sys

module = sys.argv.pop()

class Interrupt:
    def find_spec(self, name, *rest):
        if name == module:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from hookbus.cli import main
sys.argv = ["hookbus", "plugins"]
main()
"""


def in_shell(line: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run what a shell makes of `hookbus …`."""
    return subprocess.run(
        ["/bin/sh", "-c", f"{' '.join(HOOKBUS)} {line}"],
        env=clean_environment(COLUMNS="80", **environ),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "words", "closed"),
    [
        *((code, words, ">&- 2>&- <&-") for code, words in COMMANDS),
        *((*COMMANDS[-1], closed) for closed in (">&-", "2>&-", "<&-")),
    ],
)
def test_a_closed_stream_changes_nothing_but_what_is_written_to_it(
    code: int, words: str, closed: str
) -> None:
    done = in_shell(f"{words} {closed}")

    assert done.returncode == code
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_said_and_is_no_success() -> None:
    done = in_shell("--version > /dev/full")

    assert (done.returncode, done.stderr) == (
        2,
        b"hookbus: the output cannot be written: No space left on device\n",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("code", "words"), COMMANDS[-2:])
def test_an_error_that_cannot_be_written_still_has_its_exit_code(code: int, words: str) -> None:
    assert in_shell(f"{words} 2> /dev/full").returncode == code


def test_a_reader_that_leaves_early_is_no_error() -> None:
    done = in_shell("--help | true")

    assert done.stderr == b""


@pytest.mark.parametrize("module", ["typer", "hookbus.cli.app"])
def test_ctrl_c_during_an_import_leaves_no_traceback(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module],
        env=clean_environment(HOOKBUS_NATS_URL=NOBODY),
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.parametrize("columns", ["0", "wide"])
def test_a_terminal_without_a_width_is_written_to_all_the_same(columns: str) -> None:
    done = subprocess.run(
        [*HOOKBUS, "plugins", "--help"],
        env={**clean_environment(), "COLUMNS": columns},
        capture_output=True,
        timeout=30,
        check=True,
    )

    assert b"List the plugins" in done.stdout


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("✓ é.toml", {"LC_ALL": "C"}), ("\udcff.toml", {"PYTHONIOENCODING": "ascii:strict"})],
)
def test_names_that_the_terminal_cannot_write_are_written_as_well_as_it_can(
    tmp_path: Path, name: str, encoding: dict[str, str]
) -> None:
    good, bad = tmp_path / name, tmp_path / f"bad {name}"
    good.write_text("")
    bad.write_text("tîmeout = 1", encoding="utf-8")

    for words, code in (((str(good), "--json"), 0), ((str(bad),), 2)):
        done = subprocess.run(
            [*HOOKBUS, "settings", "check", *words],
            env=clean_environment(**encoding),
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("timeout", ["nan", "0", "1e300"])
def test_emit_refuses_a_timeout_that_is_none(timeout: str) -> None:
    done = hookbus("emit", "tool_invoked", "--data", "{}", f"--timeout={timeout}", url=NOBODY)

    assert done.returncode == 2
    assert done.stderr.startswith("hookbus: --timeout: expected 0.01 … 86400 seconds, got ")


@pytest.mark.parametrize(
    ("option", "value"), [("--source", ""), ("--id", "\udcff"), ("--subject", "")]
)
def test_emit_refuses_a_text_that_is_empty_or_not_utf8(option: str, value: str) -> None:
    done = hookbus("emit", "tool_invoked", "--data", "{}", option, value, url=NOBODY)

    assert done.returncode == 2
    assert done.stderr.startswith(f"hookbus: {option}: expected ")


@pytest.mark.parametrize("url", ["nats://127.0.0.1:99999", "http://h", "\udcff"])
def test_a_url_that_can_be_no_brokers_is_wrong_use(url: str) -> None:
    for words in (("plugins",), ("emit", "tool_invoked", "--data", "{}")):
        done = hookbus(*words, "--url", url)

        assert done.returncode == 2
        assert "--url: expected a URL such as nats://127.0.0.1:4222, got" in done.stderr


def test_a_port_that_can_be_none_is_wrong_use() -> None:
    for words in (("--port", "65536"), ("--http-port", "70000"), ("--port", "-1")):
        assert hookbus("up", *words).returncode == 2


def test_json_has_a_file_name_that_is_not_utf8_in_it(tmp_path: Path) -> None:
    file = tmp_path / "\udcff.toml"
    file.write_text("")

    done = hookbus("settings", "check", "--json", str(file))

    assert json.loads(done.stdout)["problems"] == []
