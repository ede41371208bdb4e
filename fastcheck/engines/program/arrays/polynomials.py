"""NumPy's functions of polynomials as lists of coefficients, the highest power first, by what they are defined as."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...._errors import NoRule


def value_at(p: Any, x: Any) -> Any:
    """numpy.polyval, by Horner's rule."""
    total = 0.0 * x
    for coefficient in p:
        total = total * x + coefficient
    return total


def vandermonde(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """numpy.vander."""
    columns = [np.ones(np.shape(x))]
    for _ in range(1, len(x) if N is None else N):
        columns.append(columns[-1] * x)
    return np.stack(columns if increasing else columns[::-1], axis=-1)


def added(a1: Any, a2: Any) -> Any:
    """numpy.polyadd."""
    return _padded(a1, a2) + _padded(a2, a1)


def subtracted(a1: Any, a2: Any) -> Any:
    """numpy.polysub."""
    return _padded(a1, a2) - _padded(a2, a1)


def multiplied(a1: Any, a2: Any) -> Any:
    """numpy.polymul."""
    return np.convolve(np.atleast_1d(a1), np.atleast_1d(a2))


def derived(p: Any, m: int = 1) -> Any:
    """numpy.polyder."""
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


def integrated(p: Any, m: int = 1, k: Any = None) -> Any:
    """numpy.polyint."""
    if k is not None:
        raise NoRule("numpy.polyint with k=", "add the constants by yourself")
    for _ in range(m):
        p = np.concatenate([p / np.arange(len(p), 0, -1), np.zeros(1)])
    return p


def with_roots(seq_of_zeros: Sequence[Any]) -> Any:
    """numpy.poly of its zeros."""
    if np.ndim(seq_of_zeros) != 1:
        raise NoRule("numpy.poly of a matrix", "use its eigenvalues")
    product = np.ones(1)
    for zero in seq_of_zeros:
        product = np.concatenate([product, np.zeros(1)]) - zero * np.concatenate([np.zeros(1), product])
    return product


def _padded(a: Any, other: Any) -> Any:
    """Return the coefficients with as many zeros in front as the other polynomial is longer."""
    a = np.atleast_1d(a)
    missing = max(np.size(other) - np.size(a), 0)
    return np.concatenate([np.zeros(missing), a]) if missing else a
