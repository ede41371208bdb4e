"""Stencils have the errors they state."""

import numpy as np
import pytest

from fastcheck.engines.finite.stencils import STENCILS


@pytest.mark.parametrize("order", STENCILS)
def test_polynomials_up_to_the_order_are_exact_and_the_next_one_shows_the_stated_error(order):
    stencil, h = STENCILS[order], 0.125
    nodes = h * stencil.nodes[None, :]
    for power in range(order + 1):
        slope = stencil.slope(nodes, nodes**power)
        np.testing.assert_allclose(slope, 1.0 if power == 1 else 0.0, atol=1e-14)
    factorial = np.prod(np.arange(1.0, order + 2))
    missed = stencil.slope(nodes, nodes ** (order + 1) / factorial)
    np.testing.assert_allclose(np.abs(missed), stencil.truncation * h**order, rtol=1e-9)


@pytest.mark.parametrize("order", STENCILS)
def test_the_rounding_of_a_stencil_is_as_stated(order):
    stencil = STENCILS[order]
    nodes = np.broadcast_to(stencil.nodes, (20_000, order))
    slopes = stencil.slope(nodes, np.random.default_rng(0).standard_normal((20_000, order)))
    assert np.std(slopes) == pytest.approx(stencil.rounding, rel=0.03)


@pytest.mark.parametrize("order", STENCILS)
def test_the_best_step_is_the_best(order):
    stencil, noise, bend = STENCILS[order], np.array([1e-15]), np.array([3.0])
    best = stencil.best_step(noise, bend)

    def error(step):
        return stencil.truncation * bend * step**order + stencil.rounding * noise / step

    assert error(best) < error(best * 1.1)
    assert error(best) < error(best / 1.1)


def test_equal_costs_have_slope_zero_exactly():
    for stencil in STENCILS.values():
        assert stencil.slope(stencil.nodes[None, :], np.full((1, stencil.order), 0.1))[0] == 0.0
