"""What is asked of every contestant: by name, the phase and how many plugins."""

from __future__ import annotations

from typing import Final

SCENARIOS: Final = {
    "n=1": ("validate", 1),
    "n=3": ("validate", 3),
    "n=10": ("validate", 10),
    "3 mutate": ("mutate", 3),
}
IN_FLIGHT: Final = 64
