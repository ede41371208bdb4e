"""Activations and losses in arithmetic of as many digits as it takes, from their definitions."""

from collections.abc import Callable, Iterator
from typing import Any

import mpmath as mp

from tests.support.mpmath_network import VALUES


def digits(z: float) -> int:
    """Digits that keep the tails of the activations apart from nothing."""
    return 900 if z < -15 else 60


def value(name: str, z: float) -> Any:
    """g(z)."""
    with mp.workdps(digits(z)):
        return VALUES[name](mp.mpf(z))


def difference(name: str, z: float, d: float) -> Any:
    """g(z + d) - g(z)."""
    with mp.workdps(digits(z)):
        return VALUES[name](mp.mpf(z) + mp.mpf(d)) - VALUES[name](mp.mpf(z))


def derivative(name: str, z: float) -> Any:
    """g'(z), by a difference so short that only its leading term is left."""
    with mp.workdps(2 * digits(z)):
        h = mp.mpf(10) ** (-digits(z) // 2)
        return (VALUES[name](mp.mpf(z) + h) - VALUES[name](mp.mpf(z) - h)) / (2 * h)


def softmax(z: Any) -> Any:
    """Probabilities of the logits z."""
    powers = [mp.exp(mp.mpf(v)) for v in z]
    total = mp.fsum(powers)
    return [p / total for p in powers]


def binary_cross_entropy(z: Any, y: Any) -> Any:
    """Loss of the logits z against targets y."""
    return mp.fsum((1 - t) * mp.log1p(mp.exp(v)) + t * mp.log1p(mp.exp(-v)) for v, t in _pairs(z, y))


def cross_entropy(z: Any, y: Any) -> Any:
    """Loss of the logits z against targets y, which need not sum to one exactly."""
    partition = mp.log(mp.fsum(mp.exp(mp.mpf(v)) for v in z))
    return mp.fsum(t * (partition - v) for v, t in _pairs(z, y))


def squares(a: Any, y: Any) -> Any:
    """Sum of squares of activations a against targets y."""
    return mp.fsum((v - t) ** 2 for v, t in _pairs(a, y))


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "binary_cross_entropy": binary_cross_entropy,
    "cross_entropy": cross_entropy,
    "squared_error": squares,
    "mean_squared_error": squares,
}


def _pairs(left: Any, right: Any) -> Iterator[tuple[Any, Any]]:
    return ((mp.mpf(v), mp.mpf(t)) for v, t in zip(left, right, strict=True))
