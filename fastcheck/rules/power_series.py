"""The first three powers of exact differences in a short change: D(z, d) = c1 d + c2 d^2 + c3 d^3, for arrays.

They are read off the identities that the differences are computed by (see ``exponential`` and ``loss_changes``), in p =
sigma(z), q = sigma(-z), or s = sech(z)^2, so that saturated units keep their digits.  A function that has none here
gets them from four exact differences (``engines.plain.point.fitted``).
"""

from collections.abc import Callable

import numpy as np

from .._types import Array
from .kernels import curves

Coefficients = tuple[Array, Array, Array]


def sigmoid_powers(z: Array, a: Array) -> Coefficients:
    """p q e / (1 + p e) with e = expm1(d): p q, p q (q - p) / 2 and p q (1 - 6 p q) / 6."""
    q = curves.sigmoid(-z)
    first = a * q
    return first, 0.5 * first * (q - a), first * (1.0 / 6.0 - first)


def tanh_powers(z: Array, a: Array) -> Coefficients:
    """s u / (1 + a u) with u = tanh(d): s, -a s and s (a^2 - 1/3)."""
    root = 1.0 / np.cosh(z)
    first = root * root
    return first, -a * first, first * (a * a - 1.0 / 3.0)


def binary_cross_entropy_powers(z: Array, a: Array, y: Array) -> Coefficients:
    """(1 - y) log1p(p e) + y log1p(q e') with e = expm1(d), e' = expm1(-d).

    That is (1 - y) p - y q, p q / 2 and p q (q - p) / 6.
    """
    q = curves.sigmoid(-z)
    second = 0.5 * a * q
    return (1.0 - y) * a - y * q, second, (1.0 / 3.0) * second * (q - a)


def squared_error_powers(z: Array, a: Array, y: Array) -> Coefficients:
    """d (2 (a - y) + d): 2 (a - y), 1 and 0."""
    return 2.0 * (a - y), np.ones_like(a), np.zeros_like(a)


# By the activation's name, of (z, a).
ACTIVATION_POWERS: dict[str, Callable[[Array, Array], Coefficients]] = {
    "sigmoid": sigmoid_powers,
    "tanh": tanh_powers,
}

# By the cost's name, of (z, a, y): of each output's share of the loss, in what the loss is differenced at.
LOSS_SERIES: dict[str, Callable[[Array, Array, Array], Coefficients]] = {
    "binary_cross_entropy": binary_cross_entropy_powers,
    "squared_error": squared_error_powers,
    "mean_squared_error": squared_error_powers,
}
