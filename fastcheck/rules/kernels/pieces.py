"""Activations that are straight between their breakpoints."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAKY_SLOPE = 0.01


def identity(z: Any) -> Any:
    """z itself, as floats."""
    return 1.0 * z


def identity_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one everywhere."""
    return np.ones_like(z)


def identity_difference(z: float, d: float) -> float:
    """d."""
    return d


def relu(z: Any) -> Any:
    """max(z, 0)."""
    return np.maximum(z, 0.0)


def relu_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for z > 0, else 0."""
    return np.asarray(np.greater(z, 0.0), np.float64)


def relu_difference(z: float, d: float) -> float:
    """max(z + d, 0) - max(z, 0), by sides."""
    # the comparisons are false for NaN, which must not come out as a number
    if z > 0.0:
        return -z if z + d <= 0.0 else d
    return 0.0 if d <= -z else d + z


def leaky_relu(z: Any) -> Any:
    """z for z > 0, else LEAKY_SLOPE z."""
    return np.maximum(z, 0.0) + LEAKY_SLOPE * np.minimum(z, 0.0)


def leaky_relu_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for z > 0, else LEAKY_SLOPE."""
    return np.where(z > 0, 1.0, LEAKY_SLOPE)


def leaky_relu_difference(z: float, d: float) -> float:
    """Return the part of the step above zero, and LEAKY_SLOPE times the part below."""
    rise = relu_difference(z, d)
    return rise + LEAKY_SLOPE * (d - rise)


def relu6(z: Any) -> Any:
    """z clipped to [0, 6]."""
    return np.minimum(np.maximum(z, 0.0), 6.0)


def relu6_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for 0 < z < 6, else 0."""
    return np.where((z > 0) & (z < 6), 1.0, 0.0)


def relu6_difference(z: float, d: float) -> float:
    """Return the part of the step between 0 and 6."""
    return clip_difference(z, d, 0.0, 6.0)


def hardtanh(z: Any) -> Any:
    """z clipped to [-1, 1]."""
    return np.minimum(np.maximum(z, -1.0), 1.0)


def hardtanh_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for -1 < z < 1, else 0."""
    return np.where((z > -1) & (z < 1), 1.0, 0.0)


def hardtanh_difference(z: float, d: float) -> float:
    """Return the part of the step between -1 and 1."""
    return clip_difference(z, d, -1.0, 1.0)


def clip_difference(z: float, d: float, low: float, high: float) -> float:
    """clip(z + d) - clip(z): the part of the step that lies between the ends."""
    if z <= low:
        return min(max(d + (z - low), 0.0), high - low)
    if z >= high:
        return max(min(d + (z - high), 0.0), low - high)
    return min(max(d, low - z), high - z)
