"""Costs: textbook value, accurate loss, derivative and exact difference, one entry each.

A cost is ``scale * sum over samples of loss``; a loss need not be a sum over outputs.  Costs that name an ``output``
activation take their loss, gradient and difference from the logits (the pre-activation of the last layer), the others
from its activation.  To add a cost, write these functions and one entry in ``COSTS``; the engines and the tests find it
there.

The functions named ``*_columns`` are compiled: they take the changes ``d`` (outputs, columns) of one sample and add
nothing to the data but the losses' differences, written to ``out`` (columns,).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._types import Array
from .kernels.curves import sigmoid, softplus_difference
from .short_series import REACH, SERIES_REACH, STEPS, fit, short_expm1, short_log1p


@dataclass(frozen=True)
class Cost:
    """A cost.

    Parameters
    ----------
    name : the name users write.
    output : the output activation it belongs to; None for any.
    labels : whether integer class labels are accepted as targets.
    textbook : (A, Y) -> J, the formula as textbooks have it, rounding and all.
    losses : (Z, A, Y) -> (m,) losses without the scale, accurate where units are saturated.
    gradient : (Z, A, Y) -> d loss / dZ if ``output`` is named, else d loss / dA.
    scale : (m, outputs) -> the factor before the sum over samples.
    columns : compiled exact difference of the loss, (z, a, y, d, out).
    column : compiled loss of one sample, (z, a, y).
    rounding : (A, Y, variance of A's errors, unit roundoff) -> variance of the textbook gradient's errors, from those
        of what it is made of.
    separable : whether the loss is a sum over outputs; one that is not is differenced with all outputs together.
    """

    name: str
    output: str | None
    labels: bool
    textbook: Callable[[Array, Array], float]
    losses: Callable[[Array, Array, Array], Array]
    gradient: Callable[[Array, Array, Array], Array]
    scale: Callable[[int, int], float]
    columns: Callable[[Array, Array, Array, Array, Array], None]
    column: Callable[[Array, Array, Array], float]
    rounding: Callable[[Array, Array, Array, float], Array]
    separable: bool = True


def rounding_of_difference(A: Array, Y: Array, A_variance: Array, unit: float) -> Array:
    """Of a - y, which keeps no more digits than a and y have."""
    return A_variance + unit**2 * (A**2 + Y**2)


def rounding_of_twice_the_difference(A: Array, Y: Array, A_variance: Array, unit: float) -> Array:
    """Of 2 (a - y)."""
    return 4.0 * rounding_of_difference(A, Y, A_variance, unit)


def sum_of_columns(values: Array) -> float:
    """Sum of magnitudes: no magnitude is larger; NaN where there is one, so that no comparison with it holds."""
    total = 0.0
    for c in range(values.size):
        total += abs(values[c])
    return total


# --- binary cross-entropy (sigmoid) -----------------------------------------------------------------------------


def binary_cross_entropy(A: Array, Y: Array) -> float:
    """-(y log a + (1 - y) log(1 - a)), summed over outputs, mean over samples."""
    m = Y.shape[-1]
    return float(1.0 / m * np.sum(-np.log(A) * Y - np.log(1 - A) * (1 - Y)))


def binary_cross_entropy_losses(Z: Array, A: Array, Y: Array) -> Array:
    """(1 - y) softplus(z) + y softplus(-z) per sample: finite where a rounds to 0 or 1."""
    tail = np.log1p(np.exp(-np.abs(Z)))  # of both softplus
    return np.asarray(((1.0 - Y) * (np.maximum(Z, 0.0) + tail) + Y * (np.maximum(-Z, 0.0) + tail)).sum(axis=0))


def binary_cross_entropy_gradient(Z: Array, A: Array, Y: Array) -> Array:
    """a - y for the logits, as (1 - y) sigma(z) - y sigma(-z), which keeps its digits."""
    return np.asarray((1.0 - Y) * sigmoid(Z) - Y * sigmoid(-Z))


def binary_cross_entropy_difference(z: float, y: float, d: float) -> float:
    """(1 - y) log1p(sigma(z) expm1(d)) + y log1p(sigma(-z) expm1(-d)), for scalars."""
    return (1.0 - y) * softplus_difference(z, d) + y * softplus_difference(-z, -d)


def binary_cross_entropy_columns(z: Array, a: Array, y: Array, d: Array, out: Array) -> None:
    """The same summed over outputs: a series per output where all steps are short, else literally."""
    nodes = np.empty(4)
    for c in range(out.size):
        out[c] = 0.0
    for k in range(d.shape[0]):
        change = d[k]
        if sum_of_columns(change) <= REACH:
            for i in range(4):
                nodes[i] = binary_cross_entropy_difference(z[k], y[k], STEPS[i])
            c1, c2, c3, c4 = fit(nodes[0], nodes[1], nodes[2], nodes[3])
            for c in range(out.size):
                x = change[c]
                out[c] += x * (c1 + x * (c2 + x * (c3 + x * c4)))
        else:
            for c in range(out.size):
                out[c] += binary_cross_entropy_difference(z[k], y[k], change[c])


def binary_cross_entropy_column(z: Array, a: Array, y: Array) -> float:
    """Return the loss of one sample."""
    total = 0.0
    for k in range(z.size):
        tail = math.log1p(math.exp(-abs(z[k])))
        total += (1.0 - y[k]) * (max(z[k], 0.0) + tail) + y[k] * (max(-z[k], 0.0) + tail)
    return total


# --- cross-entropy (softmax) ------------------------------------------------------------------------------------


def cross_entropy(A: Array, Y: Array) -> float:
    """-sum y log a, mean over samples."""
    m = Y.shape[-1]
    # A class of no weight adds nothing, even where its probability has underflowed to zero.
    terms = np.where(Y > 0, -np.log(np.where(Y > 0, A, 1.0)) * Y, 0.0)
    return float(1.0 / m * np.sum(terms))


def cross_entropy_losses(Z: Array, A: Array, Y: Array) -> Array:
    """sum y (log sum exp(z) - z) per sample, accurate where the right class is certain."""
    # The likeliest class contributes exp(0) = 1 to the partition: log1p of the others keeps the digits of small losses.
    top, samples = Z.argmax(axis=0), np.arange(Z.shape[1])
    shifted = Z - Z[top, samples]
    others = np.exp(shifted)
    others[top, samples] = 0.0
    log_partition = np.log1p(others.sum(axis=0))
    return np.asarray((Y * (log_partition - shifted)).sum(axis=0))


def cross_entropy_gradient(Z: Array, A: Array, Y: Array) -> Array:
    """a sum(y) - y sum(a) for the logits."""
    # without the terms that cancel: accurate where a class is certain
    others = np.ones((Z.shape[0], Z.shape[0])) - np.eye(Z.shape[0])
    return np.asarray(A * (others @ Y) - Y * (others @ A))


def cross_entropy_columns(z: Array, a: Array, y: Array, d: Array, out: Array) -> None:
    """log1p(sum_k p_k expm1(d_k - dbar)), dbar = sum y_k d_k, times the targets' total weight."""
    outputs, columns = d.shape
    weight = 0.0
    for k in range(outputs):
        weight += y[k]
    mean = np.zeros(columns)
    for k in range(outputs):
        if y[k] != 0.0:
            for c in range(columns):
                mean[c] += y[k] / weight * d[k, c]
    moved = sum_of_columns(mean)
    for c in range(out.size):
        out[c] = 0.0
    for k in range(outputs):
        change = d[k]
        if sum_of_columns(change) + moved <= SERIES_REACH:
            for c in range(columns):
                out[c] += a[k] * short_expm1(change[c] - mean[c])
        else:
            for c in range(columns):
                out[c] += a[k] * np.expm1(change[c] - mean[c])  # math.expm1, not compiled, raises where it overflows
    if sum_of_columns(out) <= SERIES_REACH:
        for c in range(columns):
            out[c] = weight * short_log1p(out[c])
    else:
        for c in range(columns):
            if -0.5 < out[c] < math.inf:  # infinite where a step overflowed expm1
                out[c] = weight * math.log1p(out[c])
            else:
                out[c] = weight * log_mean_exp(a, d[:, c], mean[c])


def log_mean_exp(p: Array, d: Array, mean: float) -> float:
    """log(sum_k p_k exp(d_k - mean)), for steps so large that the sum must not be built around one."""
    top = -math.inf
    for k in range(p.size):
        if p[k] > 0.0:
            top = max(top, d[k])
    total = 0.0
    for k in range(p.size):
        if p[k] > 0.0:
            total += p[k] * math.exp(d[k] - top)
    return math.log(total) + top - mean if total > 0.0 else math.nan  # no probability is a number


def cross_entropy_column(z: Array, a: Array, y: Array) -> float:
    """Return the loss of one sample."""
    top = 0
    for k in range(z.size):
        if z[k] > z[top]:
            top = k
    others = 0.0
    for k in range(z.size):
        if k != top:
            others += math.exp(z[k] - z[top])
    total = 0.0
    for k in range(z.size):
        if y[k] != 0.0:
            total += y[k] * (math.log1p(others) - (z[k] - z[top]))
    return total


# --- squared errors (any output) --------------------------------------------------------------------------------


def squared_error(A: Array, Y: Array) -> float:
    """sum (a - y)^2 / (2 m): the course's."""
    m = Y.shape[-1]
    return float(1.0 / (2 * m) * np.sum((A - Y) ** 2))


def mean_squared_error(A: Array, Y: Array) -> float:
    """Mean of (a - y)^2 over samples and outputs: the frameworks'."""
    return float(np.mean((A - Y) ** 2))


def squared_error_losses(Z: Array, A: Array, Y: Array) -> Array:
    """sum (a - y)^2 per sample."""
    return np.asarray(((A - Y) ** 2).sum(axis=0))


def squared_error_gradient(Z: Array, A: Array, Y: Array) -> Array:
    """2 (a - y), for the activations."""
    return 2.0 * (A - Y)


def squared_error_columns(z: Array, a: Array, y: Array, d: Array, out: Array) -> None:
    """sum_k d_k (2 (a_k - y_k) + d_k): nothing cancels."""
    for c in range(out.size):
        out[c] = 0.0
    for k in range(d.shape[0]):
        twice = 2.0 * (a[k] - y[k])
        change = d[k]
        for c in range(out.size):
            out[c] += change[c] * (twice + change[c])


def squared_error_column(z: Array, a: Array, y: Array) -> float:
    """Return the loss of one sample."""
    total = 0.0
    for k in range(a.size):
        total += (a[k] - y[k]) ** 2
    return total


COSTS: dict[str, Cost] = {
    entry.name: entry
    for entry in (
        Cost("binary_cross_entropy", "sigmoid", False, binary_cross_entropy, binary_cross_entropy_losses,
             binary_cross_entropy_gradient, lambda m, outputs: 1.0 / m, binary_cross_entropy_columns,
             binary_cross_entropy_column, rounding_of_difference),
        Cost("cross_entropy", "softmax", True, cross_entropy, cross_entropy_losses, cross_entropy_gradient,
             lambda m, outputs: 1.0 / m, cross_entropy_columns, cross_entropy_column, rounding_of_difference,
             separable=False),
        Cost("squared_error", None, False, squared_error, squared_error_losses, squared_error_gradient,
             lambda m, outputs: 1.0 / (2 * m), squared_error_columns, squared_error_column,
             rounding_of_twice_the_difference),
        Cost("mean_squared_error", None, False, mean_squared_error, squared_error_losses, squared_error_gradient,
             lambda m, outputs: 1.0 / (m * outputs), squared_error_columns, squared_error_column,
             rounding_of_twice_the_difference),
    )
}
