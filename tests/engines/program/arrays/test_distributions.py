"""Distributions of scipy.stats where costs hold them, and where they are asked outside of their support."""

import threading

import numpy as np
import pytest
import scipy.stats

import fastcheck as fc
from fastcheck.engines.program.arrays.distributions import LOG_DENSITIES
from tests.engines.program.arrays.functions import STATISTICS

rng = np.random.default_rng(0)
DATA = rng.standard_normal(40)
PRIOR = scipy.stats.norm(0.5, 2.0)


def verdicts(cost, theta, gradient):
    """Return the engine, and the verdicts on a gradient and on one with an entry 0.1 % off."""
    right = fc.check_function(cost, theta, gradient)
    wrong = gradient.copy()
    wrong.flat[0] *= 1.001
    return right.engine, right.verdict, fc.check_function(cost, theta, wrong).verdict


def test_likelihood_of_a_regression_with_its_own_spread():
    X = rng.standard_normal((40, 3))

    def cost(p):
        return -scipy.stats.norm.logpdf(DATA, loc=X @ p["w"], scale=np.exp(p["s"])).sum()

    p = {"w": rng.standard_normal(3), "s": np.array(0.3)}
    apart = (DATA - X @ p["w"]) / np.exp(p["s"])
    gradient = {"w": -X.T @ apart / np.exp(p["s"]), "s": np.array(apart.size - apart @ apart)}
    report = fc.check_function(cost, p, gradient)
    assert (report.engine, report.verdict) == ("program", "pass")
    assert report.difference < 1e-14
    gradient["s"] = gradient["s"] * 1.001
    assert fc.check_function(cost, p, gradient).verdict == "fail"


def test_prior_in_the_module_and_in_a_closure():
    theta = np.array([0.3, 2.0, -1.0])
    inside = scipy.stats.gamma(2.0, scale=3.0)

    def cost(p):
        return PRIOR.logpdf(p).sum() + inside.logpdf(np.exp(p)).sum() + PRIOR.mean() + inside.var()

    gradient = -(theta - 0.5) / 4.0 + 1.0 - np.exp(theta) / 3.0
    assert verdicts(cost, theta, gradient) == ("program", "pass", "fail")
    assert type(PRIOR).__module__.startswith("scipy.")
    assert type(inside).__module__.startswith("scipy.")


@pytest.mark.parametrize(("low", "engine"), [(-0.5, "program"), (0.0, "differences")])
def test_outside_of_the_support_nothing_changes_and_where_it_ends_there_is_no_rule(low, engine):
    theta = np.array([0.3, low, 2.0])

    def cost(p):
        return (p * scipy.stats.expon.pdf(p)).sum()  # zero below zero

    gradient = np.where(theta >= 0.0, (1.0 - theta) * np.exp(-theta), 0.0)
    assert verdicts(cost, theta, gradient)[::2] == (engine, "fail")
    assert fc.check_function(cost, theta, gradient).verdict != "fail"


def test_likelihood_of_a_mixture():
    x, theta = DATA[:30], {"mean": rng.standard_normal(4), "log_scale": 0.2 * rng.standard_normal(4)}

    def cost(p):
        return -np.sum(np.log(np.mean(scipy.stats.norm.pdf(x[:, None], p["mean"], np.exp(p["log_scale"])), axis=1)))

    z = (x[:, None] - theta["mean"]) / np.exp(theta["log_scale"])
    density = np.exp(-0.5 * z**2 - theta["log_scale"])
    share = density / density.sum(axis=1, keepdims=True)
    gradient = {"mean": -(share * z / np.exp(theta["log_scale"])).sum(axis=0),
                "log_scale": -(share * (z**2 - 1)).sum(axis=0)}
    report = fc.check_function(cost, theta, gradient)
    assert (report.engine, report.verdict) == ("program", "pass")
    assert fc.check_function(cost, theta, {**gradient, "mean": 1.001 * gradient["mean"]}).verdict == "fail"


def test_counts_that_move_are_not_counts():
    """Between whole numbers there is no probability: the cost is infinite there."""
    report = fc.check_function(lambda p: scipy.stats.poisson.logpmf(p, 3.0).sum(), np.array([1.0, 2.0]), np.ones(2))
    assert report.engine == "differences"
    assert report.verdict != "pass"


def test_every_density_of_our_own_is_tried():
    from inspect import getsource

    tried = getsource(STATISTICS["of one's own parts"])
    assert [name for name in LOG_DENSITIES if f"stats.{name}." not in tried] == []


@pytest.mark.parametrize("name", sorted(LOG_DENSITIES))
def test_densities_of_our_own_are_scipys(name):
    distribution = getattr(scipy.stats, name)
    shapes = (0.7, 1.3)[: distribution.numargs]
    x = distribution.ppf(np.linspace(0.05, 0.95, 19), *shapes)
    np.testing.assert_allclose(LOG_DENSITIES[name](x, *shapes), distribution.logpdf(x, *shapes), rtol=1e-13, atol=1e-14)


def test_other_threads_see_scipys_own():
    seen = []

    def cost(p):
        thread = threading.Thread(target=lambda: seen.append(PRIOR.logpdf(0.5) + scipy.stats.norm.cdf(0.0)))
        thread.start()
        thread.join()
        return PRIOR.logpdf(p).sum()

    theta = np.array([0.3])
    assert fc.check_function(cost, theta, -(theta - 0.5) / 4.0).ok
    assert set(seen) == {PRIOR.logpdf(0.5) + 0.5}
