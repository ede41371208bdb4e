"""Structure below the steps: a curve is told from noise and from coarse rounding, and resolved."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.finite.structure import resolving_step
from tests.support.waves import WAVES


def rippled(seed, wave):
    """A quadratic with a ripple of a thousand to 1e8 roundings; its gradient, and that of the quadratic alone."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    p, w = rng.standard_normal(n) * 10.0 ** rng.uniform(-1, 1), rng.standard_normal(n)
    size, often = 10.0 ** rng.uniform(-12.5, -8), 10.0 ** rng.uniform(4.0, 7.5)
    ripple, slope = WAVES[wave]

    def cost(v):
        return float(1.0 + np.sum(w * v**2) + size * np.sum(ripple(often * v)))

    plain = 2.0 * w * p
    return cost, p, plain + size * often * slope(often * p), plain


def verdicts(wave, which, seeds, **options):
    found = []
    for seed in seeds:
        cost, p, gradient, plain = rippled(seed, wave)
        if np.linalg.norm(gradient - plain) > 1e-5 * np.linalg.norm(plain):
            handed = plain if which == "plain" else gradient
            found.append(fc.check_function(cost, p, handed, engine="differences", **options).verdict)
    assert len(found) >= 10
    return found


# Waves with the shares of gradients that decide: a cubed sine is flat at many places.
SHARES = {"sine": 0.85, "two sines": 0.85, "cubed sine": 0.8}


@pytest.mark.parametrize("wave", list(WAVES))
def test_a_gradient_that_leaves_a_ripple_out_is_wrong(wave):
    """Four in ten passed: differences that overlook the ripple agree."""
    found = verdicts(wave, "plain", range(40))
    assert found.count("fail") >= SHARES[wave] * len(found)


@pytest.mark.parametrize("wave", list(WAVES))
def test_the_gradient_of_a_rippled_cost_passes(wave):
    """Half were inconclusive."""
    found = verdicts(wave, "whole", range(40))
    assert found.count("pass") >= SHARES[wave] * len(found)
    assert found.count("fail") <= (wave == "cubed sine")


def test_along_directions():
    found = verdicts("sine", "plain", range(40), method="directional")
    assert found.count("pass") <= 0.1 * len(found)
    assert "fail" not in verdicts("sine", "whole", range(40), method="directional")


def coarse(kind, seed):
    """A cost of which a part is coarsely rounded and another is not, and its gradient."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    p, w = rng.standard_normal(n), rng.standard_normal(n)
    X, y = rng.standard_normal((40, n)), (rng.random(40) < 0.5).astype(float)
    z = X @ p

    def logistic(v):
        scores, labels = X.astype(np.float32) @ v.astype(np.float32), y.astype(np.float32)
        return float(np.mean(np.logaddexp(np.float32(0.0), scores) - labels * scores)) + 1e-3 * float(v @ v)

    return {
        "a sum in float32": (lambda v: float(np.float32(np.sum(w * np.sin(v)))) + 0.05 * float(np.sum(v**4)),
                             w * np.cos(p) + 0.2 * p**3),
        "a large number taken off": (lambda v: float((np.sum(w * np.sin(v)) + 1e6) - 1e6) + 0.3 * float(v @ v),
                                     w * np.cos(p) + 0.6 * p),
        "a model in float32, its penalty in double": (logistic, X.T @ (1.0 / (1.0 + np.exp(-z)) - y) / 40 + 2e-3 * p),
    }[kind], p


KINDS = ["a sum in float32", "a large number taken off", "a model in float32, its penalty in double"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["all", "directional"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_rounded_coarsely_beside_what_is_not_blames_no_gradient(kind, method):
    """Between two jumps such a cost is smooth, and has the slope of its other part alone."""
    for seed in range(100):
        (cost, gradient), p = coarse(kind, seed)
        report = fc.check_function(cost, p, gradient, engine="differences", method=method)
        assert report.verdict != "fail", (seed, report)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_gradients_of_such_costs_do_not_pass(kind):
    found = []
    for seed in range(30):
        (cost, gradient), p = coarse(kind, seed)
        found.append(fc.check_function(cost, p, 1.01 * gradient, engine="differences").verdict)
        wrong = np.concatenate([1.1 * gradient[:1], gradient[1:]])
        assert fc.check_function(cost, p, wrong, engine="differences").verdict != "pass"
    assert found.count("fail") >= 29


def along(kind, rng):
    """Costs on a line: a curve of height one and radius 1e-6, noise of that height, or jumps of that height."""
    if kind == "curve":
        return lambda t: 100.0 + t + np.sin(1e6 * t + 0.3) - np.sin(0.3)
    if kind == "noise":
        return lambda t: 100.0 + t + rng.standard_normal(np.shape(t)) * (np.asarray(t) != 0.0)
    return lambda t: 100.0 + np.round(1e6 * np.asarray(t) + 0.2) + 0.3 * t + t**2


@pytest.mark.parametrize("kind", ["curve", "noise", "jumps"])
def test_only_a_curve_is_resolved(kind):
    for seed in range(20):
        step = resolving_step(along(kind, np.random.default_rng(seed)), 100.0, 2.0**-8, 1.0 + 0.1 * seed)
        assert (0.1 < 1e6 * step < 1.5) if kind == "curve" else step == 0.0


def test_faint_noise_is_not_looked_into():
    def never(_distances):
        raise AssertionError("a cost was asked")

    assert resolving_step(never, 1.0, 2.0**-8, 1e-15) == 0.0
