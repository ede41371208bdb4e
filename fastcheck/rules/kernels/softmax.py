"""Softmax, of output layers only: it mixes its inputs, so its difference is of a whole column."""

import math

import numpy as np
from numpy.typing import NDArray


def softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(z) / sum exp(z) down each column, without overflow."""
    e = np.exp(z - z.max(axis=0))
    return np.asarray(e / e.sum(axis=0))


def softmax_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raises TypeError: softmax mixes its inputs."""
    raise TypeError("softmax: expected its gradient as a whole, by the cost, got a call of an element-wise derivative")


def softmax_difference(p: NDArray[np.float64], d: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Write softmax(z + d) - p into ``out`` for one column with p = softmax(z).

    With changes taken relative to the likeliest class, p_k (E_k - S) / (1 + S), S = sum p_j E_j, E = expm1.
    """
    top = 0
    for k in range(p.size):
        if p[k] > p[top]:
            top = k
    most = d[top]
    for k in range(p.size):
        if p[k] > 0.0 and d[k] > most:
            most = d[k]
    if most - d[top] > 600.0:
        softmax_moved_far(p, d, most, out)
        return
    mean = 0.0
    for k in range(p.size):
        out[k] = math.expm1(d[k] - d[top]) if p[k] > 0.0 else 0.0
        mean += p[k] * out[k]
    for k in range(p.size):
        out[k] = p[k] * (out[k] - mean) / (1.0 + mean)


def softmax_moved_far(p: NDArray[np.float64], d: NDArray[np.float64], most: float, out: NDArray[np.float64]) -> None:
    """The same where expm1 would overflow: the new probabilities less the old, for nothing cancels."""
    total = 0.0
    for k in range(p.size):
        if p[k] > 0.0:
            total += p[k] * math.exp(d[k] - most)
    for k in range(p.size):
        out[k] = p[k] * math.exp(d[k] - most) / total - p[k] if p[k] > 0.0 else 0.0
