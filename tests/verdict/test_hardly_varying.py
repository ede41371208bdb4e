"""Normalisations of features that hardly vary: what their pass rounds is no mistake, and does not hide one."""

import numpy as np
import pytest

import fastcheck as fc


def normalised(x, axis):
    mean, variance = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
    scale = np.sqrt(variance + x.dtype.type(1e-5))
    return (x - mean) / scale, scale


def forward(axis):
    return lambda x, gain, b: normalised(x, axis)[0] * gain + b


def backward(axis, place=None, change=None):
    """The textbook's, with one gradient changed."""

    def of(d, x, gain, b):
        y, scale = normalised(x, axis)
        dy = d * gain
        dx = (dy - dy.mean(axis, keepdims=True) - y * (dy * y).mean(axis, keepdims=True)) / scale
        found = [dx, (d * y).sum(0), d.sum(0)]
        if change is not None:
            found[place] = change(found[place])
        return tuple(found)

    return of


def point(seed, dtype, mean, deviation):
    generator = np.random.default_rng(seed)
    x = mean + deviation * generator.standard_normal((6, 4))
    return tuple(a.astype(dtype) for a in (x, generator.standard_normal(4), generator.standard_normal(4)))


def one_entry(g):
    g = g.copy()
    g.flat[1] *= g.dtype.type(1.5)
    return g


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize(("mean", "deviation"), [(1.0, 5e-8), (100.0, 5e-6), (1.0, 1e-5)])
@pytest.mark.parametrize("seed", range(4))
def test_one_wrong_entry_fails_in_double_precision(seed, mean, deviation, axis):
    """The derivative changes within moves as short as a rounding in single precision: that is no rounding."""
    inputs = point(seed, np.float64, mean, deviation)
    assert fc.check_vjp(forward(axis), backward(axis), inputs, seed=seed).verdict == "pass"
    for place in range(3):
        for change in (one_entry, lambda g: 1.01 * g):
            report = fc.check_vjp(forward(axis), backward(axis, place, change), inputs, seed=seed)
            assert [tensor.name for tensor in report.failures] == [("x", "gain", "b")[place]], str(report)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_a_large_mean_rounds_is_no_mistake_in_single_precision(seed):
    """A mean of 100 rounds by a thousandth of what varies, which is far more than the gradients themselves round."""
    inputs = point(seed, np.float32, 100.0, 0.01)
    assert fc.check_vjp(forward(0), backward(0), inputs, seed=seed).verdict != "fail"
    for change in (one_entry, lambda g: -g, lambda g: g * g.dtype.type(1.01)):
        wrong = fc.check_vjp(forward(0), backward(0, 0, change), inputs, seed=seed)
        assert wrong.verdict == "fail", str(wrong)
