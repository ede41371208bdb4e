"""Steps that contradict each other: a cost's own fast change is not taken for noise, and no right gradient blamed."""

import numpy as np
import pytest

import fastcheck as fc
from tests.support.waves import WAVES


def rippled(seed, wave="sine"):
    """A quadratic with a ripple of 1e-13 to 1e-8 of its size, whose period is 1e-2 to 1e-7."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    p, w = rng.standard_normal(n), rng.standard_normal(n)
    size, often = 10.0 ** rng.uniform(-13, -8), 10.0 ** rng.uniform(2.5, 7.5)
    ripple, slope = WAVES[wave]

    def cost(v):
        return float(1.0 + np.sum(w * v**2) + size * np.sum(ripple(often * v)))

    return cost, p, 2.0 * w * p + size * often * slope(often * p)


@pytest.mark.parametrize("wave", list(WAVES))
def test_right_gradients_of_a_rippled_cost_are_not_blamed(wave):
    """One in three was, where the ripple was taken for noise, or its period met the steps."""
    verdicts = []
    for seed in range(40):
        cost, p, gradient = rippled(seed, wave)
        verdicts.append(fc.check_function(cost, p, gradient, engine="differences").verdict)
    assert "fail" not in verdicts
    assert verdicts.count("pass") >= 15


@pytest.mark.parametrize("factor", [1.01, -1.0, 0.0])
def test_wrong_gradients_of_a_rippled_cost_fail(factor):
    for seed in range(20):
        cost, p, gradient = rippled(seed)
        report = fc.check_function(cost, p, factor * gradient, engine="differences")
        assert report.verdict == "fail", (seed, report)


def noisy(kind, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    p, w, size = rng.standard_normal(n), rng.standard_normal(n), 10.0 ** rng.uniform(-13, -8)

    def cost(v):
        clean = float(np.sum(w * np.sin(v)) + 1.0)
        if kind == "coarse":
            return round(clean / size) * size
        return clean + size * np.random.default_rng(v.view(np.uint64)).standard_normal()

    return cost, p, w * np.cos(p)


@pytest.mark.parametrize("kind", ["coarse", "random"])
def test_noise_speaks_for_no_gradient(kind):
    for seed in range(30):
        cost, p, gradient = noisy(kind, seed)
        assert fc.check_function(cost, p, 1.01 * gradient, engine="differences").verdict == "fail", seed
        assert fc.check_function(cost, p, gradient, engine="differences").verdict != "fail", seed


LOST = {
    "exp": (lambda x: np.exp(x) - 1.0, np.exp), "pole": (lambda x: 1.0 / (1.0 - x) - 1.0, lambda x: (1.0 - x) ** -2),
    "sum": (lambda x: (3.0 + x) - 3.0, np.ones_like),
}


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e-9])
@pytest.mark.parametrize("name", list(LOST))
def test_an_entry_that_is_wrongly_zero_fails_where_small_steps_are_lost_in_a_sum(name, scale):
    """Once left open: differences at steps that 1 + x does not see are zero, as the gradient is."""
    inside, slope = LOST[name]
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x, w = 10.0 ** rng.uniform(-5, -3) * rng.standard_normal(6), rng.standard_normal(6)

        def cost(v, w=w):
            return float(scale * np.sum(w * inside(v)))

        gradient = scale * w * slope(x)
        assert fc.check_function(cost, x, gradient, engine="differences").verdict != "fail"
        gradient[rng.integers(6)] = 0.0
        assert fc.check_function(cost, x, gradient, engine="differences").verdict == "fail"
