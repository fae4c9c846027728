"""Fixtures that every test may use."""

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of reference data beside the checkout, or skip."""
    if not _SHARED.is_dir():
        pytest.skip("the reference data (../shared) are not beside this checkout")
    return _SHARED
