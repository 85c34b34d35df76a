"""docs/api.md: a line for each public name. ``python -m tests.docs.api_page > docs/api.md``"""

from __future__ import annotations

import inspect
import re
import sys

from tests.docs import public_names

HEAD = """\
# Public names

What you may import, and what stays as it is within a major version. Everything else may change
without a word. Each name's docstring says more (`python -m pydoc hookbus.Emitter`, or your editor):
shapes, units, what is raised, and where a value comes from. The types are complete: `py.typed`.

This page is made of the docstrings: `python -m tests.docs.api_page > docs/api.md`.
"""


def render() -> str:
    """Write the page."""
    parts = [HEAD]
    for module in public_names.modules():
        parts.append(f"\n## `{module.__name__}`\n")
        parts.append(f"{_markdown(public_names.summary(inspect.getdoc(module) or ''))}\n")
        parts.append("| name | what it is |\n|---|---|")
        parts += [_row(module.__name__, name) for name in module.__all__]
    return "\n".join(parts) + "\n"


def _row(module: str, name: str) -> str:
    value = public_names.value_of(module, name)
    text = _markdown(public_names.summary(public_names.text_of(module, name)))
    methods = (
        ", ".join(f"`{m}`" for m in public_names.methods_of(value))
        if inspect.isclass(value)
        else ""
    )
    more = f" Methods and properties: {methods}." if methods else ""
    return f"| `{name}` | {text}{more} |".replace("\n", " ")


def _markdown(text: str) -> str:
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render())
