"""Normalisation against mpmath: any axes, any size of change, shifts that must not matter."""

import mpmath as mp
import numpy as np
import pytest

from fastcheck.rules.normalisation import normalise
from tests.rules.array_references import root


def exact(x):
    return np.vectorize(mp.mpf, otypes=[object])(x)


def inverse_deviation(x, axes, eps):
    count = int(np.prod([x.shape[a] for a in axes]))
    c = x - np.sum(x, axis=axes, keepdims=True) / count
    return 1 / root(np.sum(c * c, axis=axes, keepdims=True) / count + mp.mpf(eps))


def reference(x, axes, eps):
    count = int(np.prod([x.shape[a] for a in axes]))
    return (x - np.sum(x, axis=axes, keepdims=True) / count) * inverse_deviation(x, axes, eps)


@pytest.mark.parametrize("axes", [(-1,), (-3, -1), (-2,)])
@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("size", [1e-12, 1e-7, 1e-3, 1.0, 20.0])
def test_change_keeps_its_digits(axes, shift, size):
    rng = np.random.default_rng(1)
    x, d = rng.normal(size=(3, 4, 5)) + shift, size * rng.uniform(-1.0, 1.0, (3, 4, 5))
    with mp.workdps(50):
        n = reference(exact(x), axes, 1e-5)
        true = reference(exact(x) + exact(d), axes, 1e-5) - n
    found_n, found, inverse = normalise(np, x, d, axes, 1e-5)
    np.testing.assert_allclose(found_n, n.astype(float), rtol=1e-12, atol=(1.0 + shift) * 1e-15)
    scale = np.max(abs(true)) * (1.0 + 1e-3 * shift)  # the digits of x - mean are those that x has
    assert np.all(abs(found - true) <= 1e-13 * scale)
    with mp.workdps(50):
        true = inverse_deviation(exact(x) + exact(d), axes, 1e-5) - inverse_deviation(exact(x), axes, 1e-5)
    assert np.all(abs(inverse - true) <= 1e-13 * np.max(abs(true)) * (1.0 + 1e-3 * shift))


def test_a_common_shift_is_no_change():
    x = np.random.default_rng(2).normal(size=(8, 4))
    _, dn, _ = normalise(np, x, np.full((8, 4), 1e-7), (-2,), 1e-5)
    assert np.all(abs(dn) <= 1e-22)


def test_what_stands_still_has_no_change():
    n, dn, dr = normalise(np, np.array([1.0, 3.0]), None, (-1,), 0.0)
    assert n.tolist() == [-1.0, 1.0]
    assert dn is None
    assert dr is None


def test_batch_axes_are_like_a_loop():
    rng = np.random.default_rng(3)
    x, d = rng.normal(size=(4, 6)), rng.normal(size=(2, 3, 4, 6))
    _, together, _ = normalise(np, x, d, (-2,), 1e-5)
    for place in np.ndindex(2, 3):
        np.testing.assert_allclose(together[place], normalise(np, x, d[place], (-2,), 1e-5)[1], rtol=1e-12, atol=1e-15)
