"""Random numbers of the user's own go on after a check as they would have without it."""

import random

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.problems.functions.random_numbers import random_numbers_kept

X = np.random.default_rng(0).standard_normal((5, 4))
GENERATOR, LEGACY, PYTHON = np.random.default_rng(1), np.random.RandomState(2), random.Random(3)


def where_they_are():
    """The states of all generators, NumPy's and Python's global ones first."""
    return [str(state) for state in (
        np.random.get_state(), random.getstate(), GENERATOR.bit_generator.state, LEGACY.get_state(), PYTHON.getstate(),
    )]


class Drawn:
    """A layer that draws its parameters when it is made, each from another generator."""

    def __init__(self, wrong=1.0):
        self.W, self.b, self.wrong = np.random.randn(4, 3), GENERATOR.standard_normal(3), wrong
        self.scale = np.array([1.0 + PYTHON.random()])
        self.shift = LEGACY.rand(3) * random.random()

    def forward(self, x):
        self.x, self.z = x, x @ self.W + self.b
        return self.z * self.scale + self.shift

    def backward(self, d):
        self.dscale, self.dshift = np.array([np.sum(d * self.z)]), d.sum(axis=0)
        d = d * self.scale
        self.dW, self.db = self.wrong * (self.x.T @ d), d.sum(axis=0)
        return d @ self.W.T


class Seeded:
    """Dropout as courses write it, whose mask is the same each time because forward seeds the global generators."""

    def forward(self, x):
        np.random.seed(1)
        random.seed(2)
        self.mask = (np.random.rand(*x.shape) < 0.5) / (0.5 + random.random())
        return x * self.mask

    def backward(self, d):
        return d * self.mask


def cost(x):
    return float(np.sum(Seeded().forward(x) ** 2))


def gradient(x):
    layer = Seeded()
    return layer.backward(2.0 * layer.forward(x))


def masked(x):
    return Seeded().forward(x)


def pulled(d, x):
    layer = Seeded()
    layer.forward(x)
    return layer.backward(d)


SLOPES = gradient(X)


@pytest.mark.parametrize("check", [
    lambda: fc.check_layer(Drawn, X).ok,
    lambda: fc.check_layer(lambda: Drawn(wrong=1.01), X).failures[0].name == "W",
    lambda: fc.check_layer(Seeded(), X).ok,
    lambda: fc.check_vjp(masked, pulled, X).ok,
    lambda: fc.check_function(cost, X, gradient).ok,
    lambda: fc.check_function(cost, X, gradient, engine="differences").ok,
    lambda: fc.check_taylor(cost, X, np.ones_like(X), SLOPES).ok,
    lambda: fc.check_adjoint(masked, lambda y: pulled(y, X), X).ok,
    lambda: np.allclose(fc.numerical_gradient(cost, X), SLOPES),
])
def test_checks_leave_the_generators_where_they_were(check):
    before = where_they_are()
    assert check()
    gradient(X)  # seeds them
    seeded = where_they_are()
    np.random.rand()
    random.random()
    moved = where_they_are()
    assert check()
    assert where_they_are() == moved != seeded
    assert before[2:] == moved[2:]


def test_whatever_is_raised():
    before = where_they_are()

    def failing(x):
        np.random.rand()
        raise KeyError("nothing of this name")

    with pytest.raises(KeyError):
        fc.check_function(failing, X, X)
    assert where_they_are() == before


def test_generators_of_other_kinds():
    others = [np.random.Generator(np.random.MT19937(5)), np.random.RandomState(6), random.Random(7)]
    with random_numbers_kept([*others, random.SystemRandom()]):
        first = others[0].random(), others[1].rand(), others[2].random(), np.random.rand(), random.random()
    assert first == (others[0].random(), others[1].rand(), others[2].random(), np.random.rand(), random.random())
