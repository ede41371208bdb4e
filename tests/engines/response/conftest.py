"""Both forms of the response engine go through the same tests."""

import pytest

from fastcheck.engines.plain import at_once, engine as plain, two_layers
from fastcheck.engines.response import engine


@pytest.fixture(params=["machine code", "at once", "plain NumPy", "from the outputs", "layer by layer"])
def each_form(request, monkeypatch):
    """Stand plain NumPy in for the compiled engine in four more runs of the test.

    Of those the first does at once what it can, the second nothing, the third has no columns of several layers, and the
    fourth carries none down from the outputs either.
    """
    if request.param != "machine code":
        monkeypatch.setattr(engine, "differences", plain.differences)
    if request.param in ("plain NumPy", "from the outputs", "layer by layer"):
        monkeypatch.setattr(at_once, "TOGETHER", 0)
    if request.param in ("from the outputs", "layer by layer"):
        monkeypatch.setattr(plain, "TOGETHER", 0)
    if request.param == "layer by layer":
        monkeypatch.setattr(plain, "carried", lambda *given: [])
        monkeypatch.setattr(two_layers, "WORTHWHILE", 1 << 30)
