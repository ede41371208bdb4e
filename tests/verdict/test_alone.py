"""``fastcheck.verdict.alone``: one gradient beside several right ones."""

import numpy as np
import pytest

from fastcheck._constants import UNIT_ROUNDOFFS
from fastcheck.verdict.alone import finding_alone, least_alone

SHAPE = (12, 20)


def beside(seed, rounding, runs=31, heavy=False):
    """A right gradient, errors of others, and the truths: each with rounding of its own."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(SHAPE).reshape(-1)
    draw = (lambda *s: rng.standard_t(3, s)) if heavy else (lambda *s: rng.standard_normal(s))
    truths = truth * (1.0 + rounding * rng.standard_normal((runs + 1, truth.size)) / 10.0)
    errors = rounding * draw(runs, truth.size)
    return truths[0] + rounding * draw(truth.size), errors, truths


def test_rounding_is_never_called_wrong():
    """Normal, and with three moments that are no more than finite."""
    for seed in range(300):
        for unit, rounding in ((UNIT_ROUNDOFFS["float32"], 1e-6), (UNIT_ROUNDOFFS["bfloat16"], 1e-2)):
            assert not finding_alone(*beside(seed, rounding, heavy=seed % 2 == 0), SHAPE, unit)


def spoiled(gradient, kind, rng):
    table = gradient.reshape(SHAPE).copy()
    if kind == "factor":
        return 1.05 * gradient
    if kind == "row":
        table[rng.integers(len(table))] = 0.0
        return table.reshape(-1)
    if kind == "noise":
        return gradient + 0.3 * rng.standard_normal(gradient.size)
    return {"sign": -gradient, "zero": 0.0 * gradient, "stale": rng.standard_normal(gradient.size)}[kind]


@pytest.mark.parametrize("kind", ["factor", "row", "noise", "sign", "zero", "stale"])
def test_mistakes_are_found_beyond_the_rounding_of_bfloat16(kind):
    rng = np.random.default_rng(1)
    for seed in range(30):
        gradient, errors, truths = beside(seed, 1e-2)
        assert finding_alone(spoiled(gradient, kind, rng), errors, truths, SHAPE, UNIT_ROUNDOFFS["bfloat16"])


def test_what_is_called_wrong_in_single_precision_is_a_thousandth():
    gradient, errors, truths = beside(0, 1e-6)
    unit = UNIT_ROUNDOFFS["float32"]
    assert "1.001 times" in finding_alone(1.001 * gradient, errors, truths, SHAPE, unit) or (
        "0.1 % of its norm" in finding_alone(1.001 * gradient, errors, truths, SHAPE, unit))
    assert not finding_alone((1.0 + 0.5 * least_alone(unit)[0]) * gradient, errors, truths, SHAPE, unit)


def test_the_nearest_truth_counts():
    """The one gradient is on the other side of a kink than the truth at its own point, where others' truths are."""
    gradient, errors, truths = beside(3, 1e-6)
    moved = np.zeros(truths.shape[1])
    moved[::7] = 0.05
    truths[10:20] += moved
    assert not finding_alone(gradient + moved, errors, truths, SHAPE, UNIT_ROUNDOFFS["float32"])
    assert finding_alone(gradient + 2.0 * moved, errors, truths, SHAPE, UNIT_ROUNDOFFS["float32"])


def test_a_truth_that_is_zero():
    zero = np.zeros((4, 5))
    assert finding_alone(np.ones(5), zero[1:], zero, (5,), UNIT_ROUNDOFFS["float32"]) == "is not zero, as the truth is"
    assert not finding_alone(np.zeros(5), zero[1:], zero, (5,), UNIT_ROUNDOFFS["float32"])
    assert not finding_alone(1e-9 * np.ones(5), 1e-9 + zero[1:], zero, (5,), UNIT_ROUNDOFFS["float32"])


def test_what_is_zero_but_for_rounding_has_no_factor():
    """Truths are rounding of double precision, other ones at each point: nothing is known along them."""
    unit = UNIT_ROUNDOFFS["float32"]
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truths = 1e-17 * rng.standard_normal((32, 16)) * 10.0 ** rng.uniform(-1.0, 1.0, (32, 1))
        gradients = 1e-7 * rng.standard_normal((32, 16)) * rng.uniform(0.5, 2.0, (32, 1))
        assert not finding_alone(gradients[0], gradients[1:] - truths[1:], truths, (16,), unit)
