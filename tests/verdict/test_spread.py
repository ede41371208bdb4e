"""Low precision: what rounding does passes, what it cannot do is found, and the stated power is kept."""

import numpy as np
import pytest

from fastcheck.verdict.spread import spread_of

RUNS, UNIT = 32, 2.0**-8
SHAPES = [(200,), (16, 20), (4, 8, 12)]


def runs(rng, shape, noise=6e-3, mistake=lambda g, t: g):
    """Gradients and truths of several runs: rounding is independent from run to run, relative to entry and tensor."""
    truth = rng.standard_normal(shape) * np.exp(rng.standard_normal(shape))
    truths = truth * (1 + 5e-3 * rng.standard_normal((RUNS, *shape)))
    size = np.sqrt(np.mean(truth**2))
    gradients = truths + noise * (np.abs(truths) + 0.3 * size) * rng.standard_normal((RUNS, *shape))
    gradients = mistake(gradients, truths)
    return gradients.reshape(RUNS, -1), truths.reshape(RUNS, -1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("noise", [1e-4, 1e-3, 6e-3, 2e-2])
def test_rounding_passes(shape, noise):
    rng = np.random.default_rng(0)
    for _ in range(60):
        spread = spread_of(*runs(rng, shape, noise), shape, UNIT)
        assert not spread.finding
        assert spread.resolved


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("noise", [1e-4, 1e-3, 6e-3, 2e-2])
def test_a_factor_at_the_stated_power_is_found(shape, noise):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(60):
        right = runs(rng, shape, noise)
        power = spread_of(*right, shape, UNIT).power
        found.append(spread_of(right[0] * (1 + 1.05 * power), right[1], shape, UNIT).finding)
    assert sum(map(bool, found)) >= 59
    if noise <= 6e-3:
        assert sum("times the truth" in finding for finding in found) >= 57


def last_row_left_out(g, t):
    g[:, -1] = 0
    return g


def one_row_twice(g, t):
    g[:, 2] *= 2
    return g


def shifted(g, t):
    return g + 0.05 * np.sqrt(np.mean(t**2))


def one_entry_zero(g, t):
    place = np.unravel_index(np.argmax(np.abs(t.mean(0))), t.shape[1:])
    g[(slice(None), *place)] = 0
    return g


def wrongly_filled(g, t):
    t[:, 0] = 0
    return g


MISTAKES = [last_row_left_out, one_row_twice, shifted, one_entry_zero, wrongly_filled]


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_what_rounding_cannot_do_is_found(shape, mistake):
    rng = np.random.default_rng(2)
    for _ in range(30):
        assert spread_of(*runs(rng, shape, mistake=mistake), shape, UNIT).finding


def test_a_row_is_named():
    rng = np.random.default_rng(3)
    finding = spread_of(*runs(rng, (16, 20), mistake=lambda g, t: g * np.where(np.arange(16) == 15, 1.2, 1)[:, None]),
                        (16, 20), UNIT).finding
    assert finding.startswith("[15, :] (the last) is 1.")


def test_what_is_only_rounding_is_not_resolved():
    rng = np.random.default_rng(4)
    noise = 1e-3 * rng.standard_normal((RUNS, 20))
    assert not spread_of(noise, np.zeros((RUNS, 20)), (20,), UNIT).resolved


def test_masks_that_flip_now_and_then_pass():
    rng = np.random.default_rng(5)
    for _ in range(60):
        g, t = runs(rng, (16, 20))
        flips = rng.random((RUNS, 16, 1)) < 0.02
        g = (g.reshape(RUNS, 16, 20) * np.where(flips, 0.8, 1.0)).reshape(RUNS, -1)
        assert not spread_of(g, t, (16, 20), UNIT).finding


def test_what_is_wrong_at_the_very_point_only_is_found():
    rng = np.random.default_rng(6)
    g, t = runs(rng, (16, 20))
    g[0] = 0
    assert "at this very point" in spread_of(g, t, (16, 20), UNIT).finding


@pytest.mark.parametrize("shape", [(1,), (4, 1), (3, 3)])
def test_truths_that_nearly_vanish_at_some_run_blow_nothing_up(shape):
    """The slope of a PReLU is one number, and its gradient may change sign from run to run."""
    rng = np.random.default_rng(7)
    for _ in range(200):
        size = np.ones(shape)
        size[0] = 0.1
        truths = size * (0.4 + rng.standard_normal((RUNS, *shape)))
        gradients = truths + 0.05 * size * rng.standard_normal((RUNS, *shape))
        spread = spread_of(gradients.reshape(RUNS, -1), truths.reshape(RUNS, -1), shape, UNIT)
        assert not spread.finding, spread.finding
