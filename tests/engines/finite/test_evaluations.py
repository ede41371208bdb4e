"""A check that fails takes at most half as many evaluations again as one that passes, whatever is wrong."""

import numpy as np
import pytest

import fastcheck as fc

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

SIZES = {
    "one": [1], "three": [3], "sixteen": [16], "seventeen": [17], "ten of three": [3] * 10,
    "sixty and four": [60, 4],
}  # fmt: skip
METHODS = {"all": {}, "order 4": {"order": 4}, "order 6": {"order": 6}, "sample": {"method": "sample", "samples": 30},
           "directional": {"method": "directional"}}


def spoiled(gradients, mistake):
    wrong = {name: value.copy() for name, value in gradients.items()}
    name = sorted(wrong)[-1]
    if mistake == "one entry":
        wrong[name][-1] *= 1.5
    elif mistake == "one entry, a little":
        wrong[name][-1] *= 1.0001
    elif mistake == "the sign":
        wrong = {name: -value for name, value in wrong.items()}
    else:
        wrong = {name: mistake * value for name, value in wrong.items()}
    return wrong


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sizes", SIZES)
def test_of_failing_and_passing_checks(sizes, method):
    rng = np.random.default_rng(0)
    parameters = {f"p{number}": rng.standard_normal(size) for number, size in enumerate(SIZES[sizes])}
    gradients = {name: 1.0 - np.tanh(value) ** 2 for name, value in parameters.items()}
    calls = 0

    def cost(p):
        nonlocal calls
        calls += 1
        return sum(float(np.sum(np.tanh(np.frombuffer(value.tobytes(), value.dtype)))) for value in p.values())

    def check(handed):
        nonlocal calls
        calls = 0
        return fc.check_function(cost, parameters, handed, engine="differences", **METHODS[method]).verdict, calls

    verdict, passing = check(gradients)
    assert verdict == "pass"
    for mistake in (1.5, 1.01, 1.0001, 0.0, "the sign", "one entry", "one entry, a little"):
        verdict, failing = check(spoiled(gradients, mistake))
        assert verdict == "fail" or (method == "sample" and isinstance(mistake, str)), mistake
        assert failing <= 1.5 * passing, (mistake, passing, failing)


@pytest.mark.parametrize("seed", [25, 37, 49, 57])
def test_of_small_mistakes_in_small_networks(seed):
    """Noise is measured only where slopes at far smaller steps leave a doubt: 1e-5 of all that is wrong leaves none."""
    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(1, 8))
    shapes = {"W": (rows, columns), "b": rows, "v": rows}
    parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    X, y = rng.standard_normal((columns, 9)), rng.standard_normal(9)

    def run(p):
        z = p["W"] @ X + p["b"][:, None]
        return z, np.sin(z), p["v"] @ np.sin(z) - y

    z, a, error = run(parameters)
    delta = np.outer(parameters["v"], 2.0 * error / 9) * np.cos(z)
    gradients = {"W": delta @ X.T, "b": delta.sum(1), "v": a @ error * 2.0 / 9}

    def evaluations(handed, verdict):
        report = fc.check_function(lambda p: float(np.mean(run(p)[2] ** 2)), parameters, handed, engine="differences")
        assert report.verdict == verdict
        return report.facts["evaluations"]

    passing = evaluations(gradients, "pass")
    assert evaluations(spoiled(gradients, 1.0 + 1e-5), "fail") <= 1.5 * passing
