"""Both forms of the response engine go through the same tests."""

import pytest

from fastcheck.engines.plain import engine as plain
from fastcheck.engines.response import engine


@pytest.fixture(params=["machine code", "plain NumPy"])
def each_form(request, monkeypatch):
    """Stand plain NumPy in for the compiled engine in a second run of the test."""
    if request.param == "plain NumPy":
        monkeypatch.setattr(engine, "differences", plain.differences)
