"""No verdict without power: noise as large as the gradient, entries that nobody looked at, norms of few entries."""

import numpy as np
import pytest

import fastcheck as fc
from tests.support.fake_gradients import Made


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.0, 2.0, 10.0])
@pytest.mark.parametrize("noise", [np.inf, np.nan, 1e3])
def test_noise_larger_than_the_gradient_never_passes(noise, factor):
    made = Made({"W1": (6, 5)})
    made.noise = np.array([noise])
    made["W1"][:] *= factor
    report = made.report()
    assert report.verdict == ("fail" if np.isnan(noise) and factor != 1.0 else "inconclusive")
    assert report.tensor("W1").cause == ("" if report.verdict == "fail" else "blind")


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.0, 2.0])
def test_nor_does_rounding_larger_than_the_gradient_excuse_a_wrong_one(factor):
    made = Made({"W1": (6, 5)}, rounding=lambda name, unit: np.full(30, 1e3))
    made["W1"][:] *= factor
    assert made.report().verdict == ("pass" if factor == 1.0 else "inconclusive")


def test_noise_of_a_right_gradient_in_some_entries_alone_is_no_blindness():
    made = Made({"W1": (6, 5)})
    made.noise = np.full(30, 1e-15)
    made.noise[3] = 0.1
    assert made.report().ok


@pytest.mark.parametrize("method", ["sample", "directional", "time limit"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_fails_wherever_it_is(method, value):
    rng = np.random.default_rng(0)
    parameters = {"a": rng.standard_normal(300), "b": rng.standard_normal(40)}
    gradients = {name: 2.0 * array for name, array in parameters.items()}
    gradients["a"][271] = value
    options = {"time_limit": 1e-9} if method == "time limit" else {"method": method}
    options |= {"samples": 4} if method == "sample" else {}
    report = fc.check_function(
        lambda p: float(np.sum(p["a"] ** 2) + np.sum(p["b"] ** 2)), parameters, gradients, **options
    )
    assert report.verdict == "fail"
    assert f"da[271] is {value}" in str(report)
    net = fc.Network([fc.Dense(4, 30, "tanh"), fc.Dense(30, 1, "sigmoid")], cost="binary_cross_entropy")
    parameters, X, Y = net.initialize(0), rng.standard_normal((4, 6)), np.arange(6) % 2
    gradients = net.gradients(parameters, X, Y)
    gradients["dW1"][17, 2] = value
    report = fc.check(net, parameters, gradients, X, Y, **options)
    assert report.verdict == "fail"
    assert f"dW1[17, 2] is {value}" in str(report)


@pytest.mark.parametrize("count", [1, 2, 5, 20])
@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_the_norm_of_few_entries_is_given_as_many_standard_errors_as_an_entry(count, norm):
    """A noisy cost: what is off by five standard errors in one entry of few is no failure of the tensor's norm."""
    made = Made({"w": (count,)})
    made.noise = np.full(count, 1e-5)
    made["w"][:] = made.approx("w")
    for sigmas, verdict in ((7.9, "inconclusive"), (8.3, "fail")):
        made["w"][0] = made.approx("w")[0] + sigmas * 1e-5
        assert made.report(norm=norm).verdict == verdict, sigmas
    made["w"][:] = made.approx("w") + 7.9e-5
    if count == 20 and norm != np.inf:
        assert made.report(norm=norm).verdict == "fail"
