"""Entries of a Jacobian that are wrong, in words, and what is wrong with them where the numbers prove it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Array
from ...engines.program.parts.shares import LEFT, Place, in_words, plain, snapped
from ...problems.gradients import AnalyticGradient, NumericalGradient
from ...problems.parameters.sampling import random_direction
from ...problems.parameters.tensor import Tensor
from ...report.report import Report
from .point import Part, Point

# Disagreeing entries that a message lists.
LISTED = 5
# Why entries are called neither right nor wrong.
NOISY = "the numerical values carry too much noise to tell"
BETWEEN = ("the derivative lies between the one-sided derivatives at kinks and equals that of no convention, which "
           "proves too little; check at arguments a little off")


@dataclass(frozen=True)
class Mismatch:
    """Entries of a Jacobian that are wrong, with all that a message needs.

    places : (k, 2) rows and columns, worst first.
    unsettled : why these entries are neither right nor wrong; "" for those that are wrong.
    """

    point: Point
    analytical: Array
    numerical: Array
    places: NDArray[np.intp]
    unsettled: str = ""

    def __str__(self) -> str:
        row, column = map(int, self.places[0])
        output, of = self.point.output_of(row), self.point.input_of(column)
        numbers = [list(parts).index(part) for parts, part in ((self.point.outputs, output), (self.point.inputs, of))]
        lines = [f"Jacobian mismatch for output {numbers[0]} with respect to input {numbers[1]} ({of.name}),"]
        lines += [self._entry(*map(int, place)) for place in self.places[:LISTED]]
        count = len(self.places)
        lines.append(f"{count:,} of {self.analytical.size:,} entries disagree."
                     if count > 1 else f"One of {self.analytical.size:,} entries disagrees.")
        said = self.unsettled or self.diagnosis(output, of)
        return "\n".join([*lines, *([f"Diagnosis: {said}"] if said else [])])

    def _entry(self, row: int, column: int) -> str:
        output, of = self.point.output_of(row), self.point.input_of(column)
        where = f"d {output.name}{output.place(row)} / d {of.name}{of.place(column)}"
        return f"  {where}: analytical {self.analytical[row, column]:.9g}, numerical {self.numerical[row, column]:.9g}"

    def diagnosis(self, output: Part, of: Part) -> str:
        """Return what is wrong with one block, in words, or "" where the numbers prove nothing."""
        return explained(self.point, self.analytical, self.numerical, output, of)


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
