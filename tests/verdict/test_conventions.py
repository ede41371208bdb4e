"""Kinks in ordinary data: a gradient is right if it is that of a branch, whichever convention its author chose."""

import numpy as np
import pytest

import fastcheck as fc

W = np.array([[1.0, -2.0], [3.0, 1.0]])
BACKWARDS = {
    "slope 0": lambda d, x: W.T @ (d * (W @ x > 0)),
    "slope 1": lambda d, x: W.T @ (d * (W @ x >= 0)),
    "slope 1/2": lambda d, x: W.T @ (d * (0.5 * (np.sign(W @ x) + 1))),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", list(BACKWARDS))
def test_relu_at_zero_passes_under_every_convention(name, seed):
    """Several kinks on one line: the gradient of a branch may lie outside the derivatives to both sides."""
    report = fc.check_vjp(lambda x: np.maximum(W @ x, 0), BACKWARDS[name], np.zeros(2), seed=seed)
    assert report.ok, report
    report = fc.check_vjp(lambda x: np.maximum(W @ x, 0), BACKWARDS[name], np.zeros(2), seed=seed, engine="differences")
    assert report.verdict != "fail", report


def test_what_follows_no_convention_does_not_pass():
    def wrong(d, x):
        return 2 * BACKWARDS["slope 1"](d, x)

    assert fc.check_vjp(lambda x: np.maximum(W @ x, 0), wrong, np.zeros(2)).verdict != "pass"
