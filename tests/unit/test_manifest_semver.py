"""SemVer 2.0: which texts are versions, and which is newer."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hookbus.manifest import is_newer, is_version

#: SemVer 2.0, section 11, with more steps between
ASCENDING = [
    "0.9.12",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.9",
    "1.0.10",
    "1.2.0",
    "10.0.0",
]


@pytest.mark.parametrize(("older", "newer"), list(pairwise(ASCENDING)))
def test_precedence_is_that_of_the_specification(older: str, newer: str) -> None:
    assert is_newer(newer, older)
    assert not is_newer(older, newer)


def test_build_data_makes_no_version_newer() -> None:
    assert not is_newer("1.0.0+2", "1.0.0+1")
    assert not is_newer("1.0.0+1", "1.0.0+2")


@pytest.mark.parametrize("text", ["0.0.0", "1.2.3-x.7.z-92", "1.0.0+001", "1.0.0--", "1.0.0-0a"])
def test_these_are_versions(text: str) -> None:
    assert is_version(text)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0-01", "1.0.0-", "1.0.0+", "1.0.0\n", "١.0.0"],
)
def test_these_are_no_versions(text: str) -> None:
    assert not is_version(text)


def test_an_endless_number_is_no_version() -> None:
    assert not is_version("9" * 5000 + ".0.0")


def test_comparing_what_is_no_version_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"expected a SemVer version such as '1\.0\.0', got 'new'"):
        is_newer("new", "1.0.0")
