"""docs/concepts.svg is what docs/concepts.dot says, drawn by Graphviz."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.docs.story import demand_node

DOCS = Path(__file__).parents[2] / "docs"
MINUTES = 60  # seconds


def test_the_picture_is_drawn_from_its_text(tmp_path: Path) -> None:
    demand_node()
    for file in ("picture.mjs", "concepts.dot"):
        shutil.copy(DOCS / file, tmp_path)
    [library] = re.findall(r"`npm install (\S+)`", (DOCS / "picture.mjs").read_text())
    install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", library]
    subprocess.run(install, cwd=tmp_path, capture_output=True, check=True, timeout=2 * MINUTES)

    drawn = subprocess.run(
        ["node", "picture.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert drawn.stdout == (DOCS / "concepts.svg").read_text(), (
        "concepts.dot has changed: node docs/picture.mjs > docs/concepts.svg"
    )


def test_the_page_shows_the_picture() -> None:
    assert "(concepts.svg)" in (DOCS / "concepts.md").read_text()
