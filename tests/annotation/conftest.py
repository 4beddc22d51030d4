"""Requests of these tests go past WhiteNoise, which would list every static file anew for each test's client."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _no_static_files(settings: Any) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.startswith("whitenoise.")]
