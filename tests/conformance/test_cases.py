"""Every case of the conformance table holds, in memory exactly and on a real nats-server."""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet

from tests.conformance.running import Result, run_in_memory, run_on_server
from tests.conformance.table import Case, load_cases

CASES = load_cases()
PLAYED = [case for case in CASES if not case.is_elsewhere]
#: Not of a local dispatcher: its connection is the emitter's own, it ends with the emitter, and
#: the events of others, as plugins emit them, do not come to it.
OF_THE_REMOTE = ("C14", "J02", "X-RETRY-13")


def _is_remote(case: Case) -> bool:
    return case.has("halt") or case.number in OF_THE_REMOTE


def _named(stage: str, cases: list[Case]) -> list[ParameterSet]:
    return [pytest.param(case, id=f"{stage}-{case.id}") for case in cases]


@pytest.mark.parametrize("case", _named("memory", PLAYED))
def test_a_case_holds_in_memory(case: Case) -> None:
    assert run_in_memory(case).problems == ()


@pytest.mark.parametrize("case", _named("local", [c for c in PLAYED if not _is_remote(c)]))
def test_a_case_holds_where_the_emitter_dispatches(case: Case) -> None:
    assert run_in_memory(case, is_local=True).problems == ()


@pytest.mark.parametrize("case", _named("server", [c for c in PLAYED if c.memory is None]))
def test_a_case_holds_on_a_real_server(case: Case, server_results: dict[str, Result]) -> None:
    assert server_results[case.id].problems == ()


@pytest.fixture(scope="session")
def server_results(
    request: pytest.FixtureRequest,
    nats_server_program: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Result]:
    """All wanted cases, played together: most of their time is waiting."""
    played = [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "server_results" in item.fixturenames
    ]
    wanted = [case for case in played if isinstance(case, Case)]
    return run_on_server(wanted, tmp_path_factory.mktemp("conformance"))
