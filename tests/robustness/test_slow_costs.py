"""Costs of 0.3 s an evaluation, by a clock that only they move: limits hold to within one evaluation, always.

The limit covers what stands around the differences, too: whether the cost is a function at all, the program's own
calls, what holds it against the function, second looks, other upstream gradients.
"""

import time

import numpy as np
import pytest

import fastcheck as fc

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

SECONDS = 0.3
LIMITS = (0.1, 1.0, 3.0, 10.0, 30.0)
RNG = np.random.default_rng(0)
PARAMETERS = {
    "three": {"a": RNG.standard_normal(3)},
    "four of many": {name: RNG.standard_normal(30) for name in "abcd"},
    "thirty of three": {f"p{k}": RNG.standard_normal(3) for k in range(30)},
}
WAYS = ({}, {"method": "sample"}, {"method": "directional"}, {"epsilon": 1e-6}, {"order": 6}, {"complex_step": True})


class Clock:
    """Stands still but where a cost is evaluated."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", made)
    return made


def smooth(p):
    return sum(np.sum(np.tanh(value)) for value in p.values())


def opaque(p):
    """No program can follow it."""
    return sum(float(np.sum(np.tanh(np.frombuffer(value.tobytes(), value.dtype)))) for value in p.values())


def kinked(p):
    return sum(float(np.sum(np.abs(np.frombuffer(value.tobytes(), value.dtype)))) for value in p.values())


def gradients_of(cost, parameters, factor):
    slope = np.sign if cost is kinked else lambda value: 1.0 - np.tanh(value) ** 2
    return {name: factor * slope(value) for name, value in parameters.items()}


def says_as_much(verdict, right):
    return verdict != ("fail" if right else "pass")


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
@pytest.mark.parametrize("cost", [smooth, opaque, kinked])
@pytest.mark.parametrize("factor", [1.0, 1.5, 1.00001])
def test_of_functions(clock, cost, parameters, factor):
    gradients = gradients_of(cost, parameters, factor)

    def slow(p):
        clock.now += SECONDS
        return cost(p)

    for limit in LIMITS:
        for options in WAYS if cost is smooth else WAYS[:-1]:
            clock.now = 0.0
            report = fc.check_function(slow, parameters, gradients, time_limit=limit, **options)
            assert clock.now <= limit + SECONDS + 1e-9, (limit, options)
            assert says_as_much(report.verdict, factor == 1.0), (limit, options)
            if limit == 30.0 and factor == 1.5:
                assert report.verdict == "fail", options


def test_a_gradient_that_is_not_finite_fails_where_no_entry_could_be_looked_at(clock):
    def slow(p):
        clock.now += SECONDS
        return smooth(p)

    gradients = gradients_of(smooth, PARAMETERS["three"], 1.0)
    gradients["a"][1] = np.nan
    assert fc.check_function(slow, PARAMETERS["three"], gradients, time_limit=0.1).verdict == "fail"


class Affine:
    """A layer that takes its time, right or wrong by a factor."""

    def __init__(self, clock, factor, W):
        self.clock, self.factor, self.W = clock, factor, W

    def forward(self, x):
        self.clock.now += SECONDS
        self.x = x
        return np.tanh(x @ self.W)

    def backward(self, d):
        self.clock.now += SECONDS
        dz = self.factor * d * (1.0 - np.tanh(self.x @ self.W) ** 2)
        self.dW = self.x.T @ dz
        return dz @ self.W.T


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("factor", [1.0, 1.5])
@pytest.mark.parametrize("engine", [None, "differences"])
def test_of_layers(clock, dtype, factor, engine):
    """The passes that make the gradient are run in any case."""
    W, x = RNG.standard_normal((6, 5)).astype(dtype), RNG.standard_normal((4, 6)).astype(dtype)

    def forward(x, W):
        return Affine(clock, factor, W).forward(x)

    def backward(d, x, W):
        layer = Affine(clock, factor, W)
        layer.x = x
        dx = layer.backward(d)
        return dx, layer.dW

    def made():
        return Affine(clock, factor, W.copy())

    checks = (
        (2, lambda **options: fc.check_vjp(forward, backward, (x, W), **options)),
        (5, lambda **options: fc.check_layer(made, (x,), **options)),
    )
    for own, check in checks:
        for limit in LIMITS:
            for method in ("all", "sample", "directional"):
                clock.now = 0.0
                report = check(time_limit=limit, method=method, engine=engine)
                assert clock.now <= max(limit, own * SECONDS) + SECONDS + 1e-9, (limit, method)
                assert says_as_much(report.verdict, factor == 1.0), (limit, method)
                if limit == 30.0 and factor == 1.5:
                    assert report.verdict == "fail", method


def test_other_upstream_gradients_that_the_limit_left_out_are_named(clock):
    def forward(x):
        clock.now += SECONDS
        return np.sin(x)

    x = np.arange(1.0, 4.0)
    late = fc.check_vjp(forward, lambda d, x: d * np.cos(x), (x,), time_limit=3.0 * SECONDS)
    assert any("left no time to hand backward" in note for note in late.notes)
    assert not fc.check_vjp(forward, lambda d, x: d * np.cos(x), (x,), time_limit=60.0).notes


@pytest.mark.parametrize("cost", [smooth, opaque])
@pytest.mark.parametrize("method", ["all", "directional"])
def test_interrupted_at_any_evaluation_the_parameters_are_as_they_were(clock, cost, method):
    """A cost without arguments finds its parameters by itself: they are moved where they are."""
    parameters = {name: value.copy() for name, value in PARAMETERS["four of many"].items()}
    before = {name: value.copy() for name, value in parameters.items()}
    gradients = gradients_of(cost, parameters, 1.5)
    calls = 0

    def counted():
        nonlocal calls
        clock.now += SECONDS
        calls -= 1
        if calls == 0:
            raise KeyboardInterrupt
        return cost(parameters)

    def check(limit):
        return fc.check_function(counted, parameters, gradients, method=method, time_limit=limit)

    check(20.0)
    for wanted in range(1, min(-calls, 60)):
        calls, clock.now = wanted, 0.0
        with pytest.raises(KeyboardInterrupt):
            check(20.0)
        assert all(np.array_equal(parameters[name], before[name]) for name in before)
