"""Right backward passes whose own rounding shows in double precision: 1 - a of saturated units, and the like."""

from collections import Counter

import numpy as np
import pytest

import fastcheck as fc

SLOPES = {"sigmoid": (lambda x: 1.0 / (1.0 + np.exp(-x)), lambda a: a * (1.0 - a), (25.0, 28.0, 31.0, 34.0)),
          "tanh": (np.tanh, lambda a: 1.0 - a**2, (12.0, 15.0, 16.0, 17.0))}
CASES = [(name, at) for name, (_, _, places) in SLOPES.items() for at in places]
# Relative errors of a slope from which it proves little.
COARSE = 1e-3


def off(name, x):
    """How far the textbook's slopes are off, relatively."""
    value, slope, _ = SLOPES[name]
    wide = slope(value(x.astype(np.longdouble)))
    return float(np.linalg.norm(slope(value(x)) - wide) / np.linalg.norm(wide))


@pytest.mark.parametrize(("name", "at"), CASES)
def test_the_textbooks_slope_of_saturated_units(name, at):
    """It passes, or where little is left of its digits proves nothing; mistakes fail all the same."""
    value, slope, _ = SLOPES[name]
    x = at + np.array([0.1, 0.4, 0.7])
    report = fc.check_vjp(value, lambda d, x: d * slope(value(x)), x)
    assert report.verdict == ("pass" if off(name, x) < COARSE else "inconclusive")
    assert "rounding" in str(report)
    for factor in (-1.0, 0.0, 0.5, 1.3, 2.0):
        wrong = fc.check_vjp(value, lambda d, x, factor=factor: factor * d * slope(value(x)), x)
        assert wrong.verdict == "fail", (factor, str(wrong))


def squares(W, X, y):
    a = 1.0 / (1.0 + np.exp(-(X @ W)))
    return np.mean((a - y) ** 2)


def gradient(W, X, y):
    a = 1.0 / (1.0 + np.exp(-(X @ W)))
    return X.T @ (2.0 * (a - y) * a * (1.0 - a)) / len(y)


def saturated(seed):
    """Weights, inputs and targets, most of whose units are saturated."""
    rng = np.random.default_rng(seed)
    X = np.abs(rng.standard_normal((5, 2))) + 0.5
    return rng.uniform(5.0, 15.0, 2), X, 1.0 * rng.integers(0, 2, 5)


# Of seeds 9 and 17 nothing is left.
SEEDS = [seed for seed in range(30) if gradient(*saturated(seed)).any()]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gradient_that_comes_as_a_function(seed):
    W, X, y = saturated(seed)
    assert fc.check_function(squares, W, gradient, (X, y)).verdict != "fail"
    forgot = fc.check_function(squares, W, lambda *at: gradient(*at) * np.array([1.0, 1.05]), (X, y))
    assert forgot.verdict == "fail"


def test_a_gradient_that_stands_alone():
    """It is taken to lose a rounding of what the slope could be where the units are not saturated."""
    found = {"right": Counter(), "an entry": Counter(), "twice": Counter(), "negative": Counter(), "zero": Counter()}
    for seed in SEEDS:
        W, X, y = saturated(seed)
        right = gradient(W, X, y)
        for name, given in (("right", right), ("an entry", right * np.array([1.0, 1.05])), ("twice", 2.0 * right),
                            ("negative", -right), ("zero", 0.0 * right)):
            found[name][fc.check_function(squares, W, given, (X, y)).verdict] += 1
    assert found["right"]["fail"] == 0
    assert found["right"]["pass"] >= 0.8 * len(SEEDS)
    for name, verdicts in found.items():
        if name != "right":
            assert verdicts["pass"] == 0, name
            assert verdicts["fail"] >= 0.8 * len(SEEDS), name


def gate(p, x):
    return np.mean(1.0 / (1.0 + np.exp(-(x @ p["w"] + p["b"]))))


def gradient_of_gate(p, x):
    w, b = np.asarray(p["w"], np.float64), float(p["b"])
    x = np.asarray(x, np.float64)
    a = 1.0 / (1.0 + np.exp(-(x @ w + b)))
    d = a * (1.0 - a) / len(x)
    return {"w": x.T @ d, "b": d.sum()}


@pytest.mark.parametrize("weights", [3, 40])
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("bias", [24.0, 26.0, 28.0])
def test_weights_beside_a_bias_that_saturates(bias, alone, weights):
    """No move of theirs brings the unit back; and a pass that casts its arguments has no more digits.

    The bias is not blamed for wrong weights, however many these are.
    """
    rng = np.random.default_rng(0)
    p, x = {"w": rng.standard_normal(weights), "b": bias}, 0.1 * rng.standard_normal((4, weights))
    right = gradient_of_gate(p, x)
    assert fc.check_function(gate, p, right if alone else gradient_of_gate, (x,)).verdict != "fail"
    for factor in (-1.0, 0.0, 2.0, 1.05):
        wrong = {"w": factor * right["w"], "b": right["b"]}
        report = fc.check_function(gate, p, wrong if alone else lambda p, x, wrong=wrong: wrong, (x,))
        assert [tensor.name for tensor in report.failures] == ["w"], (factor, str(report))


def test_chords_excuse_nothing_where_units_are_not_saturated():
    rng = np.random.default_rng(0)
    W, X, y = rng.uniform(-1.0, 1.0, 2), rng.standard_normal((5, 2)), 1.0 * rng.integers(0, 2, 5)
    for size in (1e-6, 1e-3):
        wrong = gradient(W, X, y) * (1.0 + np.array([0.0, size]))
        assert fc.check_function(squares, W, wrong, (X, y)).verdict == "fail"


class Gate:
    """A highway gate whose bias keeps it open."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.W, self.b, self.dW, self.db = 0.1 * rng.standard_normal((3, 3)), np.full(3, 25.0), None, None

    def forward(self, x):
        self.x, self.t = x, 1.0 / (1.0 + np.exp(-(x @ self.W + self.b)))
        return self.t * np.sin(x) + (1.0 - self.t) * x

    def backward(self, d):
        dz = d * (np.sin(self.x) - self.x) * self.t * (1.0 - self.t)
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T + d * (self.t * np.cos(self.x) + 1.0 - self.t)


class ForgetfulGate(Gate):
    """One that forgets a factor two in the bias."""

    def backward(self, d):
        found = super().backward(d)
        self.db = 2.0 * self.db
        return found


def test_a_layer_whose_gate_is_open():
    x = np.random.default_rng(1).standard_normal((4, 3))
    assert fc.check_layer(Gate, x).verdict == "pass"
    report = fc.check_layer(ForgetfulGate, x)
    assert report.verdict == "fail"
    assert [tensor.name for tensor in report.failures] == ["b"]


def test_a_pass_that_is_wrong_once_is_not_excused():
    """What the same pass gives the second time is another gradient."""
    calls = []

    def backward(d, x):
        calls.append(1)
        return d * np.cos(x) * (1.001 if len(calls) == 1 else 1.0)

    assert fc.check_vjp(np.sin, backward, np.linspace(0.1, 1.0, 5)).verdict == "fail"


def test_float32_inside_is_not_excused_by_more_digits():
    """It rounds alike in extended precision."""
    x = np.linspace(0.1, 1.0, 50)
    report = fc.check_vjp(np.sin, lambda d, x: d * np.cos(x).astype(np.float32) * 1.001, x)
    assert report.verdict == "fail"


def test_passes_that_refuse_extended_precision_are_judged_as_before():
    def backward(d, x):
        assert x.dtype == np.float64
        return 1.001 * d * np.cos(x)

    assert fc.check_vjp(np.sin, backward, np.linspace(0.1, 1.0, 5)).verdict == "fail"


KEPT = {"mean": np.zeros(3), "calls": []}


def test_what_a_pass_keeps_stays_in_its_own_precision():
    """In module globals, in closures, and in lists that grow."""
    own = {"last": np.zeros(3)}

    def forward(x):
        KEPT["mean"] = 0.9 * KEPT["mean"] + 0.1 * x
        return np.sin(x)

    def backward(d, x):
        own["last"] = d * np.cos(x)
        return 1.001 * own["last"]

    assert fc.check_vjp(forward, backward, np.linspace(0.1, 1.0, 3)).verdict == "fail"
    assert KEPT["mean"].dtype == own["last"].dtype == np.float64

    def gradient(x):
        KEPT["calls"].append(x)
        own["last"] = 3.01 * x**2
        return own["last"]

    assert fc.check_function(lambda x: np.sum(x**3), np.linspace(0.1, 1.0, 3), gradient).verdict == "fail"
    assert own["last"].dtype == np.float64
    assert all(x.dtype == np.float64 for x in KEPT["calls"])


def sinkhorn(p):
    """Entropic transport between points, whose kernel exp(-d**2) underflows where these are far apart."""
    C = ((p["x"][:, None] - p["y"]) ** 2).sum(axis=2)
    K, u = np.exp(-2.0 * C), np.ones(len(C)) / len(C)
    for _ in range(30):
        v = 1.0 / len(K.T) / (K.T @ u)
        u = 1.0 / len(K) / (K @ v)
    return np.sum(u[:, None] * K * v * C)


def complex_gradient(cost, p):
    """Return the gradient by complex steps."""
    found = {}
    for name, value in p.items():
        found[name] = np.empty_like(value)
        for place in np.ndindex(value.shape):
            moved = value.astype(complex)
            moved[place] += 1e-30j
            found[name][place] = np.imag(cost(p | {name: moved})) / 1e-30
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_has_underflowed_excuses_nothing(seed):
    """Far away exact changes of it are of any size, and no cost is that: a plain call has the last word."""
    rng = np.random.default_rng(seed)
    p = {"x": 5.0 * rng.standard_normal((5, 2)), "y": 5.0 * rng.standard_normal((6, 2))}
    right = complex_gradient(sinkhorn, p)
    assert fc.check_function(sinkhorn, p, right).verdict == "pass"
    for name in p:
        for factor in (0.0, -1.0, 1.01):
            report = fc.check_function(sinkhorn, p, right | {name: factor * right[name]})
            assert [tensor.name for tensor in report.failures] == [name], (factor, str(report))
