"""Every activation: value, derivative and exact difference, against arithmetic of 60 and more digits."""

import math
import random
from fractions import Fraction
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest

from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.rules.kernels import curves, pieces
from fastcheck.rules.kernels.softmax import softmax_difference
from tests.support import mpmath_rules
from tests.support.mpmath_network import VALUES

ELEMENTWISE = [name for name, entry in ACTIVATIONS.items() if entry.elementwise]
UNDERFLOW = 1e-300
# D of these changes sign: near its zero the two terms cancel, and it is measured by a share of the step.
NOT_MONOTONE = {"silu": 4e-3, "gelu": 4e-3, "gelu_tanh": 4e-3}


def steps(entry, count=250, seed=0):
    """Pairs (z, d): |z| <= 40, 1e-12 <= |d| <= 1, both signs, dense at kinks and zero."""
    rng = random.Random(seed)

    def tiny():
        return rng.choice((-1, 1)) * 10 ** rng.uniform(-12, 0)

    for at in (0.0, *entry.breakpoints):
        for d in (1e-12, -1e-12, 1e-7, -1e-7, 1.0, -1.0):
            yield at, d
            yield at - d / 3, d
            yield at - d, d
    for _ in range(count):
        kink = rng.choice((0.0, *entry.breakpoints))
        yield rng.choice((rng.uniform(-40, 40), rng.uniform(-3, 3), tiny(), kink + tiny())), tiny()


def test_every_activation_has_an_exact_twin():
    assert sorted(VALUES) == sorted(ELEMENTWISE)
    assert [name for name, entry in ACTIVATIONS.items() if not entry.elementwise] == ["softmax"]


def test_constants_are_the_published_ones():
    with mp.workdps(30):
        assert float(mp.sqrt(2 / mp.pi)) == curves.SQRT_2_OVER_PI
        assert float(mp.sqrt(2 * mp.pi)) == curves.SQRT_2_PI
    assert math.sqrt(0.5) == curves.SQRT_HALF
    assert (pieces.LEAKY_SLOPE, curves.ELU_ALPHA, curves.GELU_CUBIC) == (0.01, 1.0, 0.044715)
    # Klambauer et al., "Self-Normalizing Neural Networks"
    assert curves.SELU_ALPHA == 1.6732632423543772848170429916717
    assert curves.SELU_SCALE == 1.0507009873554804934193349852946


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_difference_keeps_its_digits(name):
    entry, checked = ACTIVATIONS[name], 0
    for z, d in steps(entry):
        true = mpmath_rules.difference(name, z, d)
        found = entry.difference(z, d)
        if abs(true) < UNDERFLOW:
            assert abs(found) <= 2 * UNDERFLOW, (z, d)
            continue
        size = max(abs(true), NOT_MONOTONE.get(name, 0.0) * abs(d))
        assert abs(found - true) <= 1e-13 * size, (z, d, found, mp.nstr(true, 20))
        checked += 1
    assert checked > 100


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_difference_of_no_step_is_nothing(name):
    for z in (-40.0, -1.0, 0.0, 1e-9, 6.0, 40.0):
        assert ACTIVATIONS[name].difference(z, 0.0) == 0.0


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("z", [-0.5, 0.0, 0.5, 7.0])
def test_nan_does_not_come_out_as_a_number(name, z):
    assert math.isnan(ACTIVATIONS[name].difference(z, math.nan))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value(name):
    points = np.array([-40.0, -7.5, -1.0, -0.3, -1e-9, 0.0, 1e-9, 0.3, 1.0, 5.0, 6.0, 7.5, 40.0])
    found = ACTIVATIONS[name].value(points)
    for z, v in zip(points, found, strict=True):
        true = mpmath_rules.value(name, z)
        # the tail of the normal distribution feels the rounding of z^2; 1 + tanh cancels there, as in the textbook
        size = max(abs(true) * (1 + z * z * (name == "gelu")), abs(z) * (name == "gelu_tanh"), UNDERFLOW)
        assert abs(v - true) <= 4e-16 * size, (z, v)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_scalar_value_is_the_array_value(name):
    scalar = ACTIVATIONS[name].scalar or ACTIVATIONS[name].value
    points = np.linspace(-8.0, 8.0, 33)
    np.testing.assert_allclose([scalar(z) for z in points], ACTIVATIONS[name].value(points), rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative(name):
    entry = ACTIVATIONS[name]
    points = np.array([-40.0, -12.3, -2.5, -0.7, -1e-3, 0.4, 0.9, 3.0, 12.3, 40.0])
    assert not set(points) & set(entry.breakpoints)
    with np.errstate(over="ignore"):
        found = entry.derivative(points)
    for z, v in zip(points, found, strict=True):
        true = mpmath_rules.derivative(name, z)
        if abs(true) < UNDERFLOW:
            assert abs(v) <= UNDERFLOW, z
        else:
            size = max(abs(true), NOT_MONOTONE.get(name, 0.0) * (abs(z) < 10))
            assert abs(v - true) <= 2e-13 * size, (z, v, mp.nstr(true, 20))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_linear_means_straight_between_breakpoints(name):
    entry = ACTIVATIONS[name]
    ends = (-10.0, *entry.breakpoints, 10.0)
    pieces = [np.linspace(low + 0.1, high - 0.1, 7) for low, high in pairwise(ends)]
    assert entry.linear == all(np.ptp(entry.derivative(z)) == 0.0 for z in pieces)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_passes_through(name):
    with np.errstate(all="ignore"):
        assert np.isnan(ACTIVATIONS[name].value(np.array([np.nan, 1.0]))).tolist() == [True, False]


def test_softmax_value():
    z = np.array([[1.0, 800.0, -900.0], [2.0, -5.0, -900.0], [0.5, 799.0, -901.0]])
    found = ACTIVATIONS["softmax"].value(z)
    for column in range(3):
        for v, true in zip(found[:, column], mpmath_rules.softmax(z[:, column]), strict=True):
            assert abs(v - true) <= 1e-15 * true + 1e-300


@pytest.mark.parametrize("spread", [1.0, 30.0, 300.0])
@pytest.mark.parametrize("size", [1e-12, 1e-7, 1e-3, 1.0])
def test_softmax_difference_keeps_its_digits(spread, size):
    rng = np.random.default_rng(5)
    for _ in range(20):
        z, d = spread * rng.uniform(-1, 1, 5), size * rng.uniform(-1, 1, 5)
        out = np.empty(5)
        with mp.workdps(400):
            p = mpmath_rules.softmax(z)
            moved = mpmath_rules.softmax([mp.mpf(v) + mp.mpf(c) for v, c in zip(z, d, strict=True)])
            true = [b - a for a, b in zip(p, moved, strict=True)]
        softmax_difference(np.array([float(v) for v in p]), d, out)
        for k in range(5):
            # E_k - S may cancel for one class: measured by what the class could move, p_k times the largest step
            slack = float(p[k]) * float(np.ptp(d)) * float(min(1, 1 - p[k] + (1 - max(p))))
            assert abs(out[k] - true[k]) <= 2e-13 * max(abs(true[k]), slack) + UNDERFLOW, (z, d, k)


def test_softmax_has_no_elementwise_derivative():
    with pytest.raises(TypeError, match="softmax"):
        ACTIVATIONS["softmax"].derivative(np.zeros(3))


LONG = [5.0, 39.0, 41.0, 60.0, 499.0, 501.0, 800.0]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_difference_of_long_steps(name):
    """Steps beyond which the short formulas would overflow or lose what they divide by."""
    with mp.workdps(330):  # what is below 1e-300 counts as nothing
        for z in (-600.0, -45.0, -3.0, -0.01, 0.01, 0.5, 3.0, 30.5, 45.0, 600.0):
            for d in (*LONG, *(-step for step in LONG)):
                true = VALUES[name](mp.mpf(z) + mp.mpf(d)) - VALUES[name](mp.mpf(z))
                size = max(abs(true), NOT_MONOTONE.get(name, 0.0) * abs(d))
                assert abs(ACTIVATIONS[name].difference(z, d) - true) <= 1e-13 * size + UNDERFLOW, (z, d)


@pytest.mark.parametrize("name", NOT_MONOTONE)
def test_difference_keeps_its_digits_in_the_tail(name):
    """Far from the zero of the derivative the terms do not cancel, and nothing excuses an error."""
    rng = random.Random(2)
    for _ in range(100):
        z, d = rng.uniform(-18.0, -4.0), rng.choice((-1, 1)) * 10 ** rng.uniform(-9, -1)
        true = mpmath_rules.difference(name, z, d)
        assert abs(ACTIVATIONS[name].difference(z, d) - true) <= 2e-13 * abs(true), (z, d)


def test_derivative_at_a_kink_is_that_of_the_flatter_side():
    """As the frameworks have it: zero where a clipped unit begins to be clipped."""
    at = {"relu": [0.0], "relu6": [0.0, 6.0], "hardtanh": [-1.0, 1.0]}
    for name, points in at.items():
        assert ACTIVATIONS[name].derivative(np.array(points)).tolist() == [0.0] * len(points)
    assert ACTIVATIONS["leaky_relu"].derivative(np.zeros(1)) == pieces.LEAKY_SLOPE
    assert ACTIVATIONS["elu"].derivative(np.zeros(1)) == curves.ELU_ALPHA
    assert ACTIVATIONS["selu"].derivative(np.zeros(1)) == curves.SELU_SCALE * curves.SELU_ALPHA


def test_sums_and_products_with_their_errors_are_exact():
    rng = random.Random(4)
    for _ in range(200):
        a, b = (rng.uniform(-1, 1) * 10 ** rng.uniform(-20, 20) for _ in range(2))
        assert sum(map(Fraction, curves.two_product(a, b))) == Fraction(a) * Fraction(b)
        assert sum(map(Fraction, curves.two_sum(a, b))) == Fraction(a) + Fraction(b)
    for a, b in ((1e290, 3.0), (3.0, 1e290), (1e150, 3e140)):  # too large to be split: the product alone
        assert curves.two_product(a, b) == (a * b, 0.0)


def test_softmax_difference_where_another_class_takes_over():
    """Steps whose exponential overflows, upwards for an unlikely class, downwards for the likeliest."""
    z = np.array([2.0, 0.0, -1.0, -3.0])
    steps = [
        [-400.0, 300.0, 0.0, 1.0], [0.0, 900.0, 0.0, 5.0], [0.0, 0.0, 0.0, 900.0], [-900.0, -1.0, 5.0, 0.0],
        [0.0, 1.0, 2.0, 598.0],
    ]  # fmt: skip
    for d in steps:
        with mp.workdps(900):
            p = mpmath_rules.softmax(z)
            moved = mpmath_rules.softmax([mp.mpf(v) + mp.mpf(c) for v, c in zip(z, d, strict=True)])
            true = [float(b - a) for a, b in zip(p, moved, strict=True)]
        out = np.empty(4)
        softmax_difference(np.array([float(v) for v in p]), np.array(d), out)
        np.testing.assert_allclose(out, true, rtol=1e-13)


TEXTBOOK = {
    "elu": lambda z: z if z > 0.0 else math.exp(z) - 1.0,
    "selu": lambda z: 1.0507009873554804934 * (z if z > 0.0 else 1.6732632423543772848 * (math.exp(z) - 1.0)),
    "sigmoid": lambda z: 1.0 / (1.0 + math.exp(-z)),
    "tanh": math.tanh,
    "softplus": lambda z: math.log(1.0 + math.exp(z)),
    "silu": lambda z: z / (1.0 + math.exp(-z)),
    "gelu": lambda z: 0.5 * z * (1.0 + math.erf(z / math.sqrt(2.0))),
    "gelu_tanh": lambda z: 0.5 * z * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3))),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_how_far_off_textbook_formulas_are(name):
    """By a rounding of their terms where these cancel, and of the value where nothing does."""
    entry, formula = ACTIVATIONS[name], TEXTBOOK.get(name, ACTIVATIONS[name].value)
    lost = 0.0
    for z in (-33.3, -5.3, -1e-3, -1.3e-9, 1.3e-9, 1e-3, 0.7, 5.3, 33.3):
        true = float(mpmath_rules.value(name, z))
        off = abs(float(formula(z)) - true)
        terms = true if entry.terms is None else float(entry.terms(np.array([z]))[0])
        assert abs(true) <= 1.4 * abs(terms), z
        assert off <= 1e-15 * abs(terms), z
        lost = max(lost, off / abs(true) if true else 0.0)
    assert (lost > 1e-9) == (entry.terms is not None)
