"""Densities and distribution functions of scipy.stats, held against literal subtraction."""

import numpy as np
import pytest
import scipy.stats
from scipy.stats import gamma, norm

import fastcheck as fc
from fastcheck import NoRule
from fastcheck.engines.program.arrays.program import Program
from tests.engines.program.arrays.literal import changes_of

INPUTS = [np.random.default_rng(3).uniform(0.5, 1.5, shape) for shape in ((3, 4), (4,), (4,))]
OBSERVED = np.random.default_rng(4).uniform(0.2, 0.8, (3, 4))
FUNCTIONS = {
    "normal": lambda x, y, v: norm.logpdf(x, y, v) + norm.pdf(OBSERVED, loc=x, scale=v) + norm.logpdf(x),
    "distribution functions": lambda x, y, v: norm.cdf(x) + norm.logcdf(x, y) * norm.sf(x, scale=v) - norm.logsf(-x),
    "quantiles": lambda x, y, v: norm.ppf(0.5 * x, y, v) + norm.isf(0.3 * x) + scipy.stats.expon.ppf(0.3 * x, scale=v),
    "frozen": lambda x, y, v: norm(y, v).logpdf(OBSERVED) + norm(0.1, 2.0).cdf(x) + norm(loc=y, scale=v).logcdf(x),
    "shapes": lambda x, y, v: gamma.logpdf(OBSERVED, x, scale=v) + scipy.stats.beta.logpdf(OBSERVED, x, y),
    "others": lambda x, y, v: (
        scipy.stats.expon.logpdf(x, scale=v) + scipy.stats.laplace.logpdf(x, y)
        + scipy.stats.logistic.logpdf(x) + scipy.stats.gumbel_r.logpdf(x, y, v) + scipy.stats.uniform.pdf(x, -9.0, 99.0)
    ),
    "counts": lambda x, y, v: scipy.stats.poisson.logpmf([0, 2, 1, 4], x) + scipy.stats.bernoulli.logpmf(1, 0.5 * x),
    "outside": lambda x, y, v: gamma.pdf(OBSERVED - 0.5, x) + scipy.stats.uniform.pdf(OBSERVED, 0.0, 1.0) * x,
    "plain": lambda x, y, v: norm.logpdf(OBSERVED) + x * norm.rvs(random_state=3) + norm.mean() + norm.interval(0.9)[0],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_changes_are_those_of_literal_subtraction(name):
    function, changes = FUNCTIONS[name], changes_of(INPUTS, 1e-4)
    found = Program(function, INPUTS).run(changes).changes[0]
    for row in range(len(found)):
        moved = function(*(one + changes[number][row] for number, one in enumerate(INPUTS)))
        np.testing.assert_allclose(found[row], moved - function(*INPUTS), rtol=0, atol=1e-13)
    assert type(norm) is type(scipy.stats.norm) is not type(gamma)


def test_what_asks_more_of_arrays_is_refused():
    """SciPy looks up on which device Cauchy's observations are."""
    with pytest.raises(NoRule, match="device"):
        Program(lambda x: scipy.stats.cauchy.logpdf(x), INPUTS[:1]).run({0: np.ones((1, 3, 4))})


def test_the_likelihood_of_a_mixture_is_checked():
    rng = np.random.default_rng(0)
    x, p = rng.standard_normal(30), {"mean": rng.standard_normal(4), "log_scale": 0.2 * rng.standard_normal(4)}

    def cost(p):
        return -np.sum(np.log(np.mean(norm.pdf(x[:, None], p["mean"], np.exp(p["log_scale"])), axis=1)))

    z = (x[:, None] - p["mean"]) / np.exp(p["log_scale"])
    density = np.exp(-0.5 * z**2 - p["log_scale"])
    share = density / density.sum(axis=1, keepdims=True)
    right = {"mean": -(share * z / np.exp(p["log_scale"])).sum(axis=0), "log_scale": -(share * (z**2 - 1)).sum(axis=0)}
    report = fc.check_function(cost, p, right)
    assert (report.verdict, report.engine) == ("pass", "program"), str(report)
    assert fc.check_function(cost, p, {**right, "mean": 1.001 * right["mean"]}).verdict == "fail"
