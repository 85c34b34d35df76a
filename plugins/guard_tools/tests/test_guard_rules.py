"""Labelled samples, hostile input and configuration of guard-tools."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from guard_config import Config, InvalidConfig
from guard_rules import check

HERE = Path(__file__).parent
SAMPLES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (HERE / "guard_samples.jsonl").read_text(encoding="utf-8").splitlines()
]
#: CPU seconds for 60 KB of the worst known commands: 4 times what a laptop needs.
HOSTILE_BOUND = 6.0


def samples(label: str) -> list[Any]:
    chosen = [sample for sample in SAMPLES if sample["label"] == label]
    return [pytest.param(sample, id=json.dumps(sample["args"])[:70]) for sample in chosen]


def code_of(command: str, config: Config | None = None) -> str | None:
    finding = check("bash", {"command": command}, config or Config())
    return finding.code if finding else None


def test_there_are_seventy_samples_of_each_label() -> None:
    assert len(samples("dangerous")) >= 70
    assert len(samples("benign")) >= 70


@pytest.mark.parametrize("sample", samples("dangerous"))
def test_a_dangerous_call_is_blocked_with_its_code(sample: dict[str, Any]) -> None:
    finding = check(sample["tool"], sample["args"], Config())

    assert finding is not None
    assert finding.code == sample["code"]
    assert finding.reason.startswith("args.")


@pytest.mark.parametrize("sample", samples("benign"))
def test_a_benign_look_alike_passes(sample: dict[str, Any]) -> None:
    assert check(sample["tool"], sample["args"], Config()) is None


@pytest.mark.parametrize("sample", samples("missed"))
def test_what_the_readme_calls_missed_is_still_missed(sample: dict[str, Any]) -> None:
    assert check(sample["tool"], sample["args"], Config()) is None


def test_the_readme_lists_every_missed_sample() -> None:
    rows = [
        f"| `{sample['args']['command'].replace('|', chr(92) + '|')}` | {sample['why']} |"
        for sample in SAMPLES
        if sample["label"] == "missed"
    ]

    assert "\n".join(rows) in (HERE.parent / "README.md").read_text(encoding="utf-8")


HOSTILE = {
    "one word": "a" * 60_000,
    "words": "a " * 30_000,
    "variables": "$a" * 30_000,
    "quoted variables": '"' + "$a" * 30_000 + '"',
    "substitutions": "$(" * 30_000,
    "backticks": "`a`" * 20_000,
    "brackets": "(" * 60_000,
    "groups": "{ " * 30_000,
    "pipes": "a|" * 30_000 + "a",
    "lists": "a;" * 30_000,
    "braces": "{a,b}" * 12_000,
    "parameters": "${a:-" * 12_000,
    "quotes": '"' * 60_000,
    "here documents without end": "$(<<a\n" * 10_000,
    "here documents": "cat <<a\na\n" * 6_000,
    "doubling": "a=xxxxxxxxxx;" + "a=$a$a;" * 8_000,
    "eval of a long text": "a='" + "x " * 15_000 + "';" + 'eval "$a";' * 3_000,
    "wrappers": "sudo " * 12_000 + "x",
    "redirections": ">a " * 20_000,
    "folders": "cat " + "*/" * 30_000,
    "loop": "for a in " + "b " * 7_000 + "; do echo " + '"$a" ' * 7_000 + "; done",
    "find": "find / " + "-exec a " * 7_500,
    "addresses": "curl " + "http://a " * 6_500,
    "separators": "cat " + "@a" * 30_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_command_of_60_kb_is_read_within_the_bound(name: str) -> None:
    started = time.process_time()

    code_of(HOSTILE[name])

    assert time.process_time() - started < HOSTILE_BOUND


def test_a_command_that_is_too_long_is_not_read() -> None:
    assert code_of("a" * 70_000) == "unparsable"


@pytest.mark.parametrize("depth", [1, 7])
def test_scripts_in_scripts_are_followed(depth: int) -> None:
    command = "rm -rf /"
    for _ in range(depth):
        command = f"eval {command}"

    assert code_of(command) == "dangerous_command"


def test_too_many_scripts_in_scripts_are_blocked_unread() -> None:
    assert code_of("eval " * 40 + "ls") == "unparsable"


def test_the_reason_names_the_rule_and_the_word() -> None:
    finding = check("bash", {"command": "cd x; sudo rm -rf /etc"}, Config())

    assert finding is not None
    assert finding.reason == "args.command: remove_all: rm -r /etc"


def test_denied_commands_are_words_in_order() -> None:
    config = Config.from_config({"deny_commands": ["terraform destroy", "npm*"]})

    assert code_of("terraform -chdir=x destroy -auto-approve", config) == "dangerous_command"
    assert code_of("sudo npm install", config) == "dangerous_command"
    assert code_of("echo terraform destroy", config) is None
    assert code_of("terraform plan", config) is None


def test_denied_and_allowed_paths_add_to_the_built_in_ones() -> None:
    config = Config.from_config({"deny_paths": ["/srv/keys"], "allow_paths": ["**/demo/.env"]})

    assert code_of("cat /srv/./keys/a", config) == "forbidden_path"
    assert code_of("cat /home/a/demo/.env", config) is None
    assert code_of("cat /home/a/.env", config) == "forbidden_path"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://localhost:3000/", None),
        ("http://10.1.2.3/", None),
        ("http://10.9.9.9/", "forbidden_host"),
        ("http://api.evil.example/", "forbidden_host"),
        ("http://192.168.1.1/", "forbidden_host"),
    ],
)
def test_a_denied_host_is_stronger_than_an_allowed_one(url: str, code: str | None) -> None:
    config = Config.from_config(
        {
            "allow_hosts": ["localhost", "10.0.0.0/8"],
            "deny_hosts": ["*.evil.example", "10.9.0.0/16"],
        }
    )

    finding = check("fetch", {"url": url}, config)

    assert (finding.code if finding else None) == code


def test_only_allowed_hosts_forbids_all_others() -> None:
    config = Config.from_config({"allow_hosts": ["*.example.com"], "only_allowed_hosts": True})

    assert check("fetch", {"url": "https://api.example.com/"}, config) is None
    assert check("fetch", {"url": "https://example.org/"}, config) is not None
    assert code_of("curl -X POST https://example.org/", config) == "forbidden_host"
    assert code_of("curl -X POST https://api.example.com/", config) is None


@pytest.mark.parametrize(
    ("tool", "path", "code"),
    [
        ("write_file", "src/a.py", None),
        ("write_file", "/srv/app/src/a.py", None),
        ("write_file", "src/../../other/a.py", "forbidden_path"),
        ("write_file", "/srv/application/a.py", "forbidden_path"),
        ("write_file", "~/a.py", "forbidden_path"),
        ("read_file", "/usr/include/stdio.h", None),
    ],
)
def test_a_workspace_bounds_what_tools_write(tool: str, path: str, code: str | None) -> None:
    finding = check(tool, {"path": path}, Config.from_config({"workspace": "/srv/app"}))

    assert (finding.code if finding else None) == code


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("echo x > out.txt", None),
        ("make > /dev/null 2>&1", None),
        ("echo x > ../out.txt", "forbidden_path"),
        ("cp a.txt /etc/cron.d/a", "forbidden_path"),
        ("cat /etc/hosts", None),
    ],
)
def test_a_workspace_bounds_what_commands_write(command: str, code: str | None) -> None:
    assert code_of(command, Config.from_config({"workspace": "/srv/app"})) == code


def test_the_names_of_arguments_can_be_chosen() -> None:
    config = Config.from_config({"command_args": ["run_this"], "path_args": [], "url_args": ["to"]})

    assert check("x", {"runThis": "rm -rf /"}, config) is not None
    assert check("x", {"command": "rm -rf /", "path": "/etc/shadow"}, config) is None
    assert check("x", {"to": "http://127.0.0.1/"}, config) is not None


@pytest.mark.parametrize(
    "config",
    [
        {"deny": []},
        {"deny_paths": "/etc"},
        {"deny_hosts": [1]},
        {"deny_commands": [" "]},
        {"workspace": "relative"},
        {"only_allowed_hosts": "yes"},
    ],
)
def test_a_wrong_configuration_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        Config.from_config(config)
