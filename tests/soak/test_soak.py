"""The soak's small form: half a minute in CI, seconds on a laptop; tests.long has the long one."""

from __future__ import annotations

import os

from tests.soak.bars import problems, table
from tests.soak.cluster import SMALL
from tests.soak.run import Plan, soak

SECONDS = 30.0 if os.environ.get("CI") == "true" else 10.0
#: Few a second: the other half of the suite runs beside it, on the same two cores.
PLAN = Plan(SECONDS, seed=7, form=SMALL, rate=20.0, pause=1.0, rest=SECONDS / 5)


def test_a_disturbed_bus_decides_what_the_reference_model_decides_and_keeps_nothing(
    nats_server_program: None,
) -> None:
    outcome = soak(PLAN, print)

    print(table(outcome))
    assert problems(outcome) == []
