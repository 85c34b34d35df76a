"""A group of commands that also takes a name: ``types order_placed``, and ``types add FILE``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class NameGroup(TyperGroup):
    """Its callback has one argument, a text that may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] in self.commands:
            return super().parse_args(ctx, ["", *args])  # no name
        ctx.allow_interspersed_args = True
        return super().parse_args(ctx, args)
