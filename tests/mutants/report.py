"""What the trials came to: rates, survivors, and which of those are accounted for. Pure."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.mutants.mutant import Mutant
from tests.mutants.trials import Verdict

SURVIVORS: Final = Path(__file__).with_name("survivors.toml")
BAR: Final = 90.0  # percent
#: Why a mutant may live: nobody can see it, it only costs time, only words for people differ,
#: or it is not for table and model to see.
KINDS: Final = ("equivalent", "speed", "message", "elsewhere")


class Report:
    """Collects verdicts.

    Attributes:
        problems: patches that do not apply.
        failing: killers that fail on the package as it is.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        self.failing: dict[str, str] = {}
        self.seconds = 0.0
        self._verdicts: list[Verdict] = []
        self._accepted = accepted_survivors()

    def add(self, verdict: Verdict) -> None:
        self._verdicts.append(verdict)

    def take_over(self, file: Path | None, mutants: list[Mutant]) -> list[Verdict]:
        """Take over the kills of an earlier report, of mutants that are still the same."""
        earlier = json.loads(file.read_text())["verdicts"] if file is not None else []
        killed = {(v["mutant"], v["diff"]): v for v in earlier if v["killer"]}
        taken = [
            Verdict(mutant, known["killer"], known["why"], seconds=known["seconds"])
            for mutant in mutants
            if (known := killed.get((mutant.name, mutant.diff)))
        ]
        self._verdicts.extend(taken)
        return taken

    @property
    def survivors(self) -> list[Verdict]:
        return [v for v in self._verdicts if v.killer is None]

    @property
    def unlisted(self) -> list[Verdict]:
        return [v for v in self.survivors if v.mutant.name not in self._accepted]

    @property
    def missed(self) -> list[str]:
        """Tests that a patch names as its killers, and that did not fail."""
        return [
            f"{name} does not kill {v.mutant.name}" for v in self._verdicts for name in v.missed
        ]

    @property
    def plain_rate(self) -> float:
        """Percent killed of all."""
        return _percent(self._killed, len(self._verdicts))

    @property
    def rate(self) -> float:
        """Percent killed of those that differ in something that can be seen."""
        equivalent = sum(self._kind(v) == "equivalent" for v in self.survivors)
        return _percent(self._killed, len(self._verdicts) - equivalent)

    @property
    def _killed(self) -> int:
        return len(self._verdicts) - len(self.survivors)

    def _kind(self, verdict: Verdict) -> str | None:
        return self._accepted.get(verdict.mutant.name)

    def is_good(self, *, whole: bool) -> bool:
        """Nothing unaccounted for; a sample is too small for a rate."""
        is_clean = not (self.problems or self.failing or self.unlisted or self.missed)
        return is_clean and (not whole or self.rate >= BAR)

    def line(self, verdict: Verdict) -> str:
        """One line on one mutant."""
        if verdict.killer is not None:
            return f"killed   {verdict.mutant.name}  by {verdict.killer} ({verdict.why[:60]})"
        kind = self._kind(verdict) or "UNLISTED"
        beyond = f", beyond by {verdict.beyond}" if verdict.beyond else ""
        return f"SURVIVED {verdict.mutant.name} ({kind}{beyond})"

    def text(self) -> str:
        """All that a person wants to know."""
        lines = [f"PATCH DOES NOT APPLY {problem}" for problem in self.problems]
        lines += [f"FAILS WITHOUT A MUTANT {n}: {why[:200]}" for n, why in self.failing.items()]
        lines += [f"MISSED {text}" for text in self.missed]
        for verdict in self.unlisted:
            lines += ["", f"{self.line(verdict)} at {verdict.mutant.place}", verdict.mutant.diff]
        killers = Counter(v.killer for v in self._verdicts if v.killer)
        kinds = Counter(self._kind(v) or "unlisted" for v in self.survivors)
        beyond = sum(v.beyond is not None for v in self.survivors)
        lines += [
            "",
            "killed by: " + ", ".join(f"{name} {count}" for name, count in killers.most_common(12)),
            f"{len(self._verdicts)} mutants, {self._killed} killed, {len(self.survivors)} live "
            f"({', '.join(f'{count} {kind}' for kind, count in kinds.items()) or 'none'}); "
            f"flow and unit tests kill {beyond} more",
            f"kill rate {self.rate:.1f} % (all of them counted: {self.plain_rate:.1f} %), "
            f"{self.seconds:.0f} s",
        ]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "mutants": len(self._verdicts),
            "killed": self._killed,
            "rate": round(self.rate, 2),
            "plain_rate": round(self.plain_rate, 2),
            "seconds": self.seconds,
            "problems": self.problems,
            "failing": self.failing,
            "missed": self.missed,
            "verdicts": [
                {
                    "mutant": v.mutant.name,
                    "place": v.mutant.place,
                    "killer": v.killer,
                    "why": v.why,
                    "beyond": v.beyond,
                    "kind": self._kind(v) if v.killer is None else None,
                    "seconds": v.seconds,
                    "diff": v.mutant.diff,
                }
                for v in self._verdicts
            ],
        }


def accepted_survivors(path: Path = SURVIVORS) -> dict[str, str]:
    """Return the kind of each accepted survivor by its name.

    Raises:
        ValueError: An entry has no reason, or a kind that nobody knows.
    """
    accepted: dict[str, str] = {}
    for entry in tomllib.loads(path.read_text()).get("survivor", ()):
        if entry["kind"] not in KINDS or not entry["reason"].strip():
            raise ValueError(f"{entry}: expected a kind of {KINDS} and a reason")
        names = [entry["mutant"]] if "mutant" in entry else entry["mutants"]
        accepted |= dict.fromkeys(names, entry["kind"])
    return accepted


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0
