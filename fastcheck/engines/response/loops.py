"""Loops over plain arrays that the response engine's kernels are made of; small enough to vectorize."""


from ..._types import Array, Indices
from ...runtime.jit import FAST, inner

# Our own loop beats BLAS for products of up to this many rows.
NARROW = 24


def _largest(values: Array) -> float:
    """Return the largest magnitude; unspecified where one is NaN, which stays NaN whatever is then done with it."""
    largest = 0.0
    for c in range(values.size):
        size = abs(values[c])
        largest = size if size > largest else largest
    return largest


def _scale(values: Array, factor: float) -> None:
    for c in range(values.size):
        values[c] *= factor


def _short(values: Array, c1: float, c2: float, c3: float, c4: float) -> None:
    for c in range(values.size):
        x = values[c]
        values[c] = x * (c1 + x * (c2 + x * (c3 + x * c4)))


def _clear(block: Array) -> None:
    for r in range(block.shape[0]):
        for c in range(block.shape[1]):
            block[r, c] = 0.0


def _gather(weights: Array, start: int, units: Indices, into: Array) -> None:
    """One row's weights, from ``start`` on, of the perturbed units."""
    for c in range(units.size):
        into[c] = weights[start + units[c]]


def _product(one: Array, other: Array, out: Array) -> None:
    for c in range(out.size):
        out[c] = one[c] * other[c]


def _short_product(one: Array, other: Array, c1: float, c2: float, c3: float, c4: float, out: Array) -> None:
    for c in range(out.size):
        x = one[c] * other[c]
        out[c] = x * (c1 + x * (c2 + x * (c3 + x * c4)))


def _multiply_narrow(weights: Array, changes: Array, into: Array) -> None:
    """into = weights @ changes for few rows of weights, where BLAS spends its time on packing: 2 x 4 at a time."""
    rows, inputs = weights.shape
    clear(into)
    for j in range(0, inputs - inputs % 4, 4):
        for r in range(0, rows - 1, 2):
            add_two_by_four(weights, r, j, changes, into)
        if rows % 2:
            add_one_by_four(weights, rows - 1, j, changes, into)
    for j in range(inputs - inputs % 4, inputs):
        for r in range(rows):
            add_one(weights[r, j], changes[j], into[r])


def _add_two_by_four(weights: Array, r: int, j: int, changes: Array, out: Array) -> None:
    a1, a2, a3, a4 = weights[r, j], weights[r, j + 1], weights[r, j + 2], weights[r, j + 3]
    b1, b2, b3, b4 = weights[r + 1, j], weights[r + 1, j + 1], weights[r + 1, j + 2], weights[r + 1, j + 3]
    for c in range(out.shape[1]):
        x1, x2, x3, x4 = changes[j, c], changes[j + 1, c], changes[j + 2, c], changes[j + 3, c]
        out[r, c] += a1 * x1 + a2 * x2 + a3 * x3 + a4 * x4
        out[r + 1, c] += b1 * x1 + b2 * x2 + b3 * x3 + b4 * x4


def _add_one_by_four(weights: Array, r: int, j: int, changes: Array, out: Array) -> None:
    w1, w2, w3, w4 = weights[r, j], weights[r, j + 1], weights[r, j + 2], weights[r, j + 3]
    for c in range(out.shape[1]):
        out[r, c] += w1 * changes[j, c] + w2 * changes[j + 1, c] + w3 * changes[j + 2, c] + w4 * changes[j + 3, c]


def _add_one(weight: float, changes: Array, out: Array) -> None:
    for c in range(out.size):
        out[c] += weight * changes[c]


clear = inner(_clear)
largest = inner(_largest, flags=FAST | {"nnan"})  # without it the comparison does not vectorize
scale = inner(_scale, flags=FAST)
short = inner(_short, flags=FAST)
gather = inner(_gather, inline=True)
product = inner(_product, inline=True)
short_product = inner(_short_product, flags=FAST)
add_two_by_four = inner(_add_two_by_four, flags=FAST, inline=True)
add_one_by_four = inner(_add_one_by_four, flags=FAST, inline=True)
add_one = inner(_add_one, flags=FAST, inline=True)
multiply_narrow = inner(_multiply_narrow, flags=FAST)
