"""Lets the tests import this plugin's modules by their plain names, as running it does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
