"""The corpus replayed, and some seconds of random inputs (longer: ``python -m tests.fuzz``)."""

from __future__ import annotations

import tracemalloc
from itertools import islice

import pytest

from tests.fuzz import sockets
from tests.fuzz.inputs import Input, corpus
from tests.fuzz.running import Found, inputs, run, run_for
from tests.fuzz.targets import TARGETS

SEEDS = (1, 2)
SECONDS = 0.6  # for each target and seed
MOST_MEMORY = 128 * 1024 * 1024  # bytes for one input, the broker in memory included
AMPLIFYING = [each for each in corpus() if "amplification" in each.labels]


def told(found: list[Found]) -> list[str]:
    return [f"{each.input.name}: {each.problem}" for each in found]


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_once_is_not_found_again(name: str) -> None:
    known = corpus(name)

    found = run(TARGETS[name], known)

    assert known
    assert told(found) == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", TARGETS)
def test_random_inputs_break_no_rule(name: str, seed: int) -> None:
    fed, found = run_for(TARGETS[name], seed, SECONDS)

    assert fed
    assert told(found) == []


@pytest.mark.parametrize("known", AMPLIFYING, ids=lambda each: each.name)
def test_a_small_message_takes_no_large_memory(known: Input) -> None:
    tracemalloc.start()
    try:
        run(TARGETS[known.target], [known])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < MOST_MEMORY


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_depends_on_its_seed_and_number_alone(name: str) -> None:
    first = list(islice(inputs(TARGETS[name], 1), 30))

    again = list(islice(inputs(TARGETS[name], 1, start=20), 10))

    assert [each.fields for each in again] == [each.fields for each in first[20:]]


@pytest.mark.usefixtures("nats_server_program")
def test_bytes_on_a_real_socket_deafen_nobody() -> None:
    hostile = [*corpus(sockets.NAME), *islice(sockets.inputs(seed=1), 150)]

    found = sockets.run(hostile)

    assert told(found) == []
