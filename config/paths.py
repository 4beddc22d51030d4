"""Folders: the checkout, and `var/` for everything that is made while running."""

import os
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("TOUCHSTONE_VAR") or BASE / "var").resolve()
