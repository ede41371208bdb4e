"""Both forms of the response engine go through the same tests."""

import pytest

from fastcheck.engines.plain import engine as plain, two_layers
from fastcheck.engines.response import engine


@pytest.fixture(params=["machine code", "plain NumPy", "layer by layer"])
def each_form(request, monkeypatch):
    """Stand plain NumPy in for the compiled engine in a second run of the test, and a third without shared columns."""
    if request.param != "machine code":
        monkeypatch.setattr(engine, "differences", plain.differences)
    if request.param == "layer by layer":
        monkeypatch.setattr(plain, "TOGETHER", 0)
        monkeypatch.setattr(two_layers, "WORTHWHILE", 1 << 30)
