"""Pages that are lived as they are read: every code block in order, in an empty folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from hookbus import __version__
from tests.docs.page import PAGES
from tests.docs.story import Reader, blocks_of, demand_node, reader, shape

ROOT: Final = Path(__file__).parents[2]

#: Pages that begin with nothing.
STORIES: Final = (
    "README.md",
    "docs/start-emitter.md",
    "docs/start-plugin.md",
    "docs/cookbook.md",
    "docs/testing.md",
    "docs/cli.md",
    "docs/observe.md",
)

#: Pages whose reader has a bus.
ON_A_BUS: Final = (
    "docs/verdict_bytes.md",
    "plugins/audit_log/README.md",
    "plugins/guard_tools/README.md",
    "plugins/redact_secrets/README.md",
)

#: Blocks that a story leaves out → who runs them.
ELSEWHERE: Final[Mapping[tuple[str, str], str]] = {
    ("README.md", "install"): ".ci/run",
    ("README.md", "tests"): ".ci/run",
    ("README.md", "wheel"): "tests/integration/test_wheel.py",
    ("plugins/audit_log/README.md", "line"): "plugins/audit_log/tests/test_audit_log.py",
}


def tell(somebody: Reader, page: str) -> None:
    """Let *somebody* do what *page* says, block by block."""
    for block in blocks_of(ROOT / page):
        if (page, block.label) not in ELSEWHERE:
            try:
                somebody.follow(block)
            except AssertionError as e:
                e.add_note(f"{page}:{block.line}")
                raise


@pytest.fixture(scope="module")
def on_a_bus(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    with reader(tmp_path_factory.mktemp("reader")) as somebody:
        somebody.open_terminal("hookbus up")
        yield somebody


@pytest.mark.usefixtures("nats_server_program")
@pytest.mark.parametrize("page", STORIES)
def test_whoever_does_what_a_page_says_sees_what_it_shows(page: str, tmp_path: Path) -> None:
    if any(block.language == "js" for block in blocks_of(ROOT / page)):
        demand_node()
    with reader(tmp_path) as somebody:
        tell(somebody, page)


@pytest.mark.parametrize("page", ON_A_BUS)
def test_whoever_has_a_bus_sees_what_a_page_shows(page: str, on_a_bus: Reader) -> None:
    tell(on_a_bus, page)


def pages() -> list[Path]:
    found = [ROOT / "README.md"]
    for folder in ("docs", "plugins", "services"):
        found += (ROOT / folder).glob("**/*.md")
    return found


@pytest.mark.parametrize("page", ["README.md", "docs/start-plugin.md"])
def test_the_plugin_that_a_page_shows_is_the_example(page: str) -> None:
    [shown] = [block.body for block in blocks_of(ROOT / page) if block.label == "tiny.mjs"]

    assert shown == (ROOT / "docs/examples/node/tiny.mjs").read_text()


def test_no_page_has_a_code_block_that_nobody_runs() -> None:
    """A labelled block of another page is run by a test of that page that names its label."""
    unclaimed = [
        f"{page.relative_to(ROOT)}:{block.line}"
        for page in pages()
        if str(page.relative_to(ROOT)) not in (*STORIES, *ON_A_BUS)
        for block in blocks_of(page)
        if not block.label or f'"{block.label}"' not in texts_about(page)
    ]

    assert unclaimed == []


def texts_about(page: Path) -> str:
    """The text of all tests that speak of *page*."""
    name = page.name if page.parent.name == "docs" else f"{page.parent.name}/{page.name}"
    texts = [file.read_text() for file in (ROOT / "tests").glob("**/test_*.py")]
    reader_of_it = "tests.docs.page " if page in PAGES else name
    return "".join(text for text in texts if name in text or reader_of_it in text)


def test_what_a_story_leaves_out_is_run_elsewhere_word_for_word() -> None:
    blocks = {block.label: block.body for block in blocks_of(ROOT / "README.md")}
    ci = (ROOT / ".ci/run").read_text()

    assert [file for file in ELSEWHERE.values() if not (ROOT / file).exists()] == []
    assert blocks["tests"].strip() == ci.splitlines()[-1] == ".venv/bin/pytest"
    for command in ("python3 -m venv .venv", "-e '.[dev]'"):
        assert command in blocks["install"]
        assert command in ci
    assert f"hookbus-{__version__}-py3-none-any.whl[cli]" in blocks["wheel"]


def test_a_page_that_shows_something_else_than_is_printed_is_found_out() -> None:
    assert shape("✗ block  it took 1.8 ms\n", "✗ block  it took 0.3 ms")
    assert shape("a\nb\nc\n", "a\n…\nc")
    assert not shape("✗ block", "✓ continue")
    assert not shape("a\nb\nc\n", "a\nc")


def test_every_link_between_pages_leads_somewhere() -> None:
    link = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([\w-]+))?\)")
    dead = []
    for page in pages():
        for target, anchor in link.findall(page.read_text()):
            file = (page.parent / target).resolve() if target else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                dead.append(f"{page.relative_to(ROOT)}: {target}#{anchor}")

    assert dead == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
