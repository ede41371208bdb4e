"""What is wrong with one block of a Jacobian, in words, where the numbers prove it."""

import math
from collections.abc import Iterator

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Array
from ...engines.program.parts import LEFT, Place, in_words, plain, snapped
from ...problems.gradients import AnalyticGradient, NumericalGradient
from ...problems.parameters.sampling import random_direction
from ...problems.parameters.tensor import Tensor
from ...report.report import Report
from .point import Part, Point


def explained(point: Point, analytical: Array, numerical: Array, output: Part, of: Part) -> str:
    """What is wrong with the derivatives of an output by an input, or "" where the numbers prove nothing.

    Parameters
    ----------
    point : the function.
    analytical, numerical : both Jacobians.
    output, of : the output, and the input.
    """
    mine = np.ascontiguousarray(analytical[output.span, of.span])
    right = np.ascontiguousarray(numerical[output.span, of.span])
    noise = NOISE_SIGMAS * point.rounding(output) / math.sqrt(UNIT_ROUNDOFF)
    named = of.name if len(point.outputs) == 1 else f"{output.name}/d{of.name}"
    shape = of.tensor.shape if output.tensor.shape == () else (*output.tensor.shape, *of.tensor.shape)
    if not (np.isfinite(mine).all() and np.isfinite(right).all()):
        return _diagnosis(named, shape, mine, right, noise)
    # Seen through random weights of the outputs it is a gradient in the input's own shape.
    weights = random_direction(np.random.default_rng(0), (output.tensor.size,))
    return (
        _diagnosis(named, shape, mine, right, noise)
        or next(_by_output(named, mine, right, output), "")
        or _of_another(point, numerical, mine, output, of)
        or _diagnosis(named, of.tensor.shape, weights @ mine, weights @ right, noise * math.sqrt(weights.size),
                      point.theta[of.span])
    )


def _diagnosis(
    name: str, shape: tuple[int, ...], mine: Array, right: Array, noise: float, theta: Array | None = None
) -> str:
    """The diagnosis of an array as if it were a gradient at theta; without theta only claims about all of it."""
    found = NumericalGradient(0.0, np.empty(0), np.empty(0), right.reshape(-1), np.full(1, noise), settled=True)
    subject = AnalyticGradient((Tensor(name, shape, 0, mine.size),), np.zeros(mine.size) if theta is None else theta,
                               mine.reshape(-1), whole_only=theta is None)
    report = Report.of(subject, found, epsilon=1.0, norm=2, tolerance=1e-5, engine="differences", method="all",
                       seed=0, seconds=0.0)
    return report.tensors[0].diagnosis


def _by_output(name: str, mine: Array, right: Array, output: Part) -> Iterator[str]:
    """Each index of an axis of the output has a share of its own in the derivatives, such as none."""
    for axis, length in enumerate(output.tensor.shape):
        if length < 2:
            continue
        a, b = (np.moveaxis(j.reshape(*output.tensor.shape, -1), axis, 0).reshape(length, -1) for j in (mine, right))
        sizes = (b**2).sum(axis=1)
        seen = sizes > 0.0
        if not seen.any() or a[~seen].any():
            continue
        shares = snapped(np.where(seen, (a * b).sum(axis=1) / np.where(seen, sizes, 1.0), 1.0))
        believed = plain(shares) or np.count_nonzero(shares != 1.0) == 1
        left, error = np.linalg.norm(a - shares[:, None] * b), np.linalg.norm(a - b)
        if believed and np.ptp(shares) > 0.0 and left <= LEFT * min(float(error), float(np.linalg.norm(b))):
            places = [Place(f"axis {axis} of the output", j + 1, length, index=True) for j in range(length)]
            yield f"{in_words(f'd{name}', shares, places)}."


def _of_another(point: Point, numerical: Array, mine: Array, output: Part, of: Part) -> str:
    """The derivatives are those of another input of the same shape."""
    for other in point.inputs:
        if other is of or other.tensor.shape != of.tensor.shape or other.is_complex != of.is_complex:
            continue
        there = numerical[output.span, other.span]
        if there.any() and np.linalg.norm(mine - there) <= LEFT * np.linalg.norm(there):
            return f"d{of.name} equals the numerical derivatives by {other.name}: are the two swapped?"
    return ""
