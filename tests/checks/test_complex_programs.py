"""Costs of real parameters with complex numbers on the way: exact differences, and ordinary ones where a rule ends."""

import numpy as np
import pytest

import fastcheck as fc

RNG = np.random.default_rng(3)
W, X = RNG.standard_normal(4), RNG.standard_normal(4)


def square(v):
    return v.reshape(2, 2)


def parts_written(w):
    z = np.zeros(4, complex)
    z.real = w
    z.imag = X * w
    return np.abs(z).sum()


EXACT = {
    "reshaped, with a real change": lambda w: (square(w + 1j * X).imag ** 2 + square(w + 1j * X) ** 2).real.sum(),
    "sliced": lambda w: np.abs((w + 1j * X)[1:] * (X + 1j * w)[:-1]).sum(),
    "transposed": lambda w: np.abs(square(w + 1j * X).T * square(X + 1j * w)).sum(),
    "multiplied": lambda w: np.abs(square(w + 1j * X) * square(X + 1j * w)).sum(),
    "matrix product": lambda w: np.abs(square(w + 1j * X) @ square(X + 1j * w)).sum(),
    "einsum": lambda w: np.abs(np.einsum("ij,jk->ik", square(w + 1j * X), square(X + 1j * w))).sum(),
    "size": lambda w: np.abs(w + 1j * X).sum(),
    "running sum": lambda w: np.abs(np.cumsum(w + 1j * X)).sum(),
    "Fourier transform": lambda w: np.abs(np.fft.fft(w + 1j * X)).sum(),
    "exponential": lambda w: np.exp(w + 1j * X).imag.sum(),
    "conjugate": lambda w: (np.conj(w + 1j * X) * (w + 1j * w)).imag.sum(),
    "inverse": lambda w: np.abs(np.linalg.inv(square(w + 1j * X))).sum(),
    "complex number": lambda w: np.abs((w + 1j * X) * (2 + 1j) / (1 - 2j)).sum(),
}  # fmt: skip
ORDINARY = {
    "complex exponent": lambda w: ((w + 1j * X) ** (0.5 + 0.2j)).real.sum(),
    "moving complex exponent": lambda w: ((2 + 1j) ** (w + 1j * X)).real.sum(),
    "logarithm": lambda w: np.log(w + 1j * X).imag.sum(),
    "variance": lambda w: np.var(w + 1j * X),
    "parts that are written": parts_written,
}


def slope(cost):
    """Return a difference of order four at a step of 1e-3 of the cost in double precision: good to ten digits."""
    found = np.zeros(W.size)
    for k in range(W.size):
        h = 1e-3 * np.eye(W.size)[k]
        found[k] = (8.0 * (cost(W + h) - cost(W - h)) - (cost(W + 2 * h) - cost(W - 2 * h))) / 12e-3
    return found


@pytest.mark.parametrize("name", [*EXACT, *ORDINARY])
def test_right_and_wrong(name):
    cost = {**EXACT, **ORDINARY}[name]
    found = fc.numerical_gradient(cost, W)
    np.testing.assert_allclose(found, slope(cost), rtol=1e-7, atol=1e-9)
    right = fc.check_function(cost, W, found)
    assert (right.verdict, right.engine) == ("pass", "program" if name in EXACT else "differences")
    assert fc.check_function(cost, W, 1.001 * found).verdict == "fail"
    others = fc.numerical_gradient(cost, W, engine="differences")
    np.testing.assert_allclose(found, others, rtol=1e-8, atol=1e-9)


def test_complex_parameters_are_two_real_ones():
    """What messages advise instead of complex parameters, inputs and outputs."""
    z = {"re": RNG.standard_normal(5), "im": RNG.standard_normal(5)}

    def cost(p):
        return float(np.sum(np.abs(np.fft.fft(p["re"] + 1j * p["im"])) ** 2))

    right = {"re": 10.0 * z["re"], "im": 10.0 * z["im"]}
    report = fc.check_function(cost, z, right)
    assert (report.verdict, report.engine) == ("pass", "program")
    assert fc.check_function(cost, z, {**right, "im": -right["im"]}).verdict == "fail"

    def forward(x):
        y = np.fft.fft(x)
        return y.real, y.imag

    def backward(d, x, sign=-1.0):
        return np.fft.fft(d[0] + sign * 1j * d[1]).real

    assert fc.check_vjp(forward, backward, z["re"]).verdict == "pass"
    assert fc.check_vjp(forward, lambda d, x: backward(d, x, 1.0), z["re"]).verdict == "fail"
