"""`hookbus plugins mode`: set what a plugin's verdicts may do, live, and take that back."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any, Final

import typer

from hookbus.cli.errors import FOUND, UsageError, fail
from hookbus.cli.operating import Json, Name, Url, ask, print_json, wait_served
from hookbus.cli.overrides import mode_override, overrides_in_force, until
from hookbus.cli.printable import clean
from hookbus.models import Mode
from hookbus.operations import request
from hookbus.registry.policy import Overrides
from hookbus.registry.requests import MAX_OVERRIDE_S
from hookbus.transport import Transport

_DURATION: Final = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

For = Annotated[
    str | None, typer.Option("--for", metavar="1h|30m|90s", help="It ends by itself then.")
]


def mode(
    name: Name,
    mode: Annotated[Mode | None, typer.Argument(help="What its verdicts may do.")] = None,
    hook: Annotated[
        str | None, typer.Option(metavar="HOOK", help="Only this hook of it; all if not given.")
    ] = None,
    duration: For = None,
    reset: Annotated[bool, typer.Option("--reset", help="Take the override back.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Override the mode of a plugin until it is reset: enforce, warn, shadow or off.

    It wins over settings and announcements, and is in force when the command returns.

    Example: hookbus plugins mode guard-tools shadow --for 1h
    """
    if (mode is not None) == reset:
        raise UsageError("plugins mode: expected a mode or --reset, one of the two")
    seconds = None if duration is None else parse_duration(duration)
    if reset and seconds is not None:
        raise UsageError("plugins mode: --for goes with a mode, not with --reset")
    members = {"hook": hook, "for_s": seconds}
    said = {member: value for member, value in members.items() if value is not None}
    report = ask(url, lambda transport, who: _change(transport, who, name, mode, said))
    if as_json:
        print_json(report)
    else:
        _show(report, mode)
    if report["problem"] is not None:
        fail(f"{name} is not asked: {clean(report['problem'])}", FOUND)


def parse_duration(text: str) -> int:
    """``"90s" → 90``, ``"1h" → 3600``

    Raises:
        UsageError: It is no whole number of seconds, minutes, hours or days above 0, or too long.
    """
    match = _DURATION.fullmatch(text)
    # 0 would be taken for no end at all
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--for: expected a duration such as 90s, 30m or 1h, got {text!r}")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > MAX_OVERRIDE_S:
        most = MAX_OVERRIDE_S // _SECONDS["d"]
        raise UsageError(
            f"--for: expected at most {most}d, got {text!r}; without --for it has no end"
        )
    return seconds


async def _change(
    transport: Transport, who: str, plugin: str, mode: str | None, said: dict[str, Any]
) -> dict[str, Any]:
    """Set the mode, wait until it is served, and report what is in force then."""
    made = await request(transport, who, "mode", plugin=plugin, mode=mode, **said)
    served = await wait_served(transport, who, made["generation"])
    listed = await request(transport, who, "list")
    overrides = overrides_in_force(await request(transport, who, "settings"), time.time())
    found = next((p for p in listed["plugins"] if p["plugin"] == plugin), None)
    is_bound = found is not None and found["state"] == "bound"
    return {
        "generation": served["generation"],
        "plugin": plugin,
        "hooks": [_in_force(plugin, h, overrides) for h in found["hooks"]] if found else [],
        "problem": None if is_bound else (found or {}).get("problem") or "nothing binds it",
    }


def _in_force(plugin: str, hook: dict[str, Any], overrides: Overrides) -> dict[str, Any]:
    override = mode_override(overrides, plugin, hook["name"])
    return {
        "name": hook["name"],
        "mode": hook["mode"],
        "origin": hook["origins"].get("mode", "default"),
        "until": override.until if override else None,
        "ends": until(override).removeprefix(" until ") or None if override else None,
    }


def _show(report: dict[str, Any], mode: str | None) -> None:
    done = "the override is gone" if mode is None else f"mode {mode}"
    print(f"{report['plugin']}: {done}; in force since generation {report['generation']}")
    for hook in report["hooks"]:
        end = f", until {hook['ends']}" if hook["ends"] else ""
        print(f"  {clean(hook['name'])}: {hook['mode']} ({clean(hook['origin'])}{end})")
