"""Which moves meet a kink in the next layer."""

import numpy as np
import pytest

from fastcheck.engines.plain import kinks_near


def given(seed):
    """Weights, distances to kinks, changes and bounds of what they become; a few of the changes are zero."""
    rng = np.random.default_rng(seed)
    W, sizes = rng.standard_normal((7, 5)), rng.uniform(0, 1, (5, 6)) * (rng.uniform(size=(5, 6)) > 0.2)
    margin = np.abs(rng.standard_normal((7, 6)))
    return W, margin, sizes, np.abs(W).max(axis=1)[:, None] * sizes.max(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_columns_that_meet_a_kink(seed):
    W, margin, sizes, bounds = given(seed)
    moves = np.abs(W[:, :, None]) * sizes
    met, told = kinks_near.met_behind(W, margin, sizes, bounds)
    assert told
    np.testing.assert_array_equal(met, ((moves >= margin[:, None]) & (moves != 0.0)).any(axis=0))


def test_none_where_bounds_stay_away():
    W, margin, sizes, bounds = given(0)
    assert kinks_near.met_behind(W, margin + bounds, sizes, bounds * 0.5) == (None, True)


def test_nan_meets_everything():
    W, margin, sizes, bounds = given(0)
    margin[:, 2] = np.nan
    met, _ = kinks_near.met_behind(W, margin, sizes, bounds)
    np.testing.assert_array_equal(met[:, 2], sizes[:, 2] != 0.0)


def test_too_many_to_tell(monkeypatch):
    monkeypatch.setattr(kinks_near, "MOST", 5)
    assert kinks_near.met_behind(*given(0)) == (None, False)
