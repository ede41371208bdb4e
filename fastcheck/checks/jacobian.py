"""Jacobians entry by entry: differences of a function of several arrays against what automatic differentiation gave.

What a framework's own checker asks is kept (|a - n| <= atol + rtol |n|), and two things are added.  An absolute
tolerance counts in full only where the derivatives of that output are not themselves as small, or it would let a
gradient that is missing altogether pass.  And no entry fails, or passes, on one difference alone where another step
says otherwise: entries in doubt are looked at again with steps of their own, which tells noise and kinks from mistakes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .._types import Array, Indices
from ..engines.finite.difference_table import ONE_SIDED_ROUNDING
from ..engines.finite.noise import ROUNDING
from ..engines.finite.steps import first_step, refine
from ..problems.gradients import AnalyticGradient, NumericalGradient
from ..problems.parameters.tensor import Tensor
from ..report.report import Report

# Standard errors that noise may reach.
NOISE = 8.0
# An absolute tolerance counts up to this share of the largest derivative of the same output by the same input.
SHARE = 1e-2
# Entries looked at again before it is asked whether they show a mistake.
FIRST_LOOK, LOOK = 64, 4096
# Disagreeing entries that a message lists.
LISTED = 5


class Moved(Protocol):
    """A function at a point theta (n,), its inputs and outputs each laid end to end as real numbers."""

    def moved(self, positions: Indices, values: Array) -> Array:
        """Outputs (k, M) with the entry ``positions[i]`` of theta set to ``values[i]``."""
        ...

    def rounded(self, positions: Indices, values: Array) -> Array:
        """``values`` as the inputs' own precision holds them."""
        ...


@dataclass(frozen=True)
class Part:
    """One input or output: its tensor, with a last axis of two (real and imaginary part) where it is complex, and the
    unit roundoff of its precision.
    """

    tensor: Tensor
    is_complex: bool = False
    unit: float = ROUNDING / 2.0

    @property
    def name(self) -> str:
        """The tensor's name."""
        return self.tensor.name

    @property
    def span(self) -> slice:
        """Where it lies in the vector."""
        return slice(self.tensor.start, self.tensor.stop)

    def place(self, position: int) -> str:
        """An entry in words: "[2, 0]", "[2, 0].imag", or nothing for a number."""
        index = [int(i) for i in np.unravel_index(position - self.tensor.start, self.tensor.shape or (1,))]
        tail = ""
        if self.is_complex:
            tail = ".imag" if index.pop() else ".real"
        elif not self.tensor.shape:
            index = []
        return (f"[{', '.join(map(str, index))}]" if index else "") + tail


@dataclass(frozen=True)
class Tolerances:
    """atol, rtol : as the framework's checker has them; eps : the step of the first differences."""

    atol: float
    rtol: float
    eps: float


@dataclass(frozen=True)
class Point:
    """A function at one point.

    function : gives outputs at moved inputs; theta (n,), value (M,) : the point and the outputs there.
    inputs, outputs : their parts, in order.
    """

    function: Moved
    theta: Array
    value: Array
    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]

    def blocks(self) -> Iterator[tuple[Part, Part]]:
        """Every output with every input."""
        return ((output, of) for output in self.outputs for of in self.inputs)

    def output_of(self, row: int) -> Part:
        """The output that a row of the Jacobian belongs to."""
        return next(part for part in self.outputs if row < part.tensor.stop)

    def input_of(self, position: int) -> Part:
        """The input that a column of the Jacobian belongs to."""
        return next(part for part in self.inputs if position < part.tensor.stop)


@dataclass(frozen=True)
class Mismatch:
    """Entries of a Jacobian that are wrong, with all that a message needs.

    places : (k, 2) rows and columns, worst first.
    inconclusive : whether nothing but noise too large to tell was found.
    """

    point: Point
    analytical: Array
    numerical: Array
    places: NDArray[np.intp]
    inconclusive: bool = False

    def __str__(self) -> str:
        row, column = map(int, self.places[0])
        output, of = self.point.output_of(row), self.point.input_of(column)
        numbers = [list(parts).index(part) for parts, part in ((self.point.outputs, output), (self.point.inputs, of))]
        lines = [f"Jacobian mismatch for output {numbers[0]} with respect to input {numbers[1]} ({of.name}),"]
        lines += [self._entry(*map(int, place)) for place in self.places[:LISTED]]
        count = len(self.places)
        lines.append(f"{count:,} of {self.analytical.size:,} entries disagree."
                     if count > 1 else f"One of {self.analytical.size:,} entries disagrees.")
        said = "the numerical values carry too much noise to tell" if self.inconclusive else self.diagnosis(output, of)
        return "\n".join([*lines, *([f"Diagnosis: {said}"] if said else [])])

    def _entry(self, row: int, column: int) -> str:
        output, of = self.point.output_of(row), self.point.input_of(column)
        where = f"d {output.name}{output.place(row)} / d {of.name}{of.place(column)}"
        return f"  {where}: analytical {self.analytical[row, column]:.9g}, numerical {self.numerical[row, column]:.9g}"

    def diagnosis(self, output: Part, of: Part) -> str:
        """What is wrong with one block, in words, or "" where the numbers prove nothing."""
        block = (output.span, of.span)
        analytical, numerical = (np.ascontiguousarray(j[block]) for j in (self.analytical, self.numerical))
        shape = of.tensor.shape if output.tensor.shape == () else (*output.tensor.shape, *of.tensor.shape)
        named = of.name if len(self.point.outputs) == 1 else f"{output.name}/d{of.name}"
        noise = np.full(1, _noise(self.point, output, math.sqrt(ROUNDING)))
        found = NumericalGradient(0.0, np.empty(0), np.empty(0), numerical.reshape(-1), noise, settled=True)
        subject = AnalyticGradient((Tensor(named, shape, 0, analytical.size),), np.zeros(analytical.size),
                          analytical.reshape(-1))
        report = Report.of(subject, found, epsilon=1.0, norm=2, tolerance=1e-5, engine="function", method="all",
                           seed=0, seconds=0.0)
        return report.tensors[0].diagnosis


def numerical_jacobian(point: Point, eps: float) -> Array:
    """Central differences (M, n) with one step, as the function's precision holds it."""
    found = np.empty((point.value.size, point.theta.size))
    for part in point.inputs:
        positions = np.arange(part.tensor.start, part.tensor.stop)
        size = max(1, min(positions.size, (1 << 22) // max(point.value.size, 1)))
        for start in range(0, positions.size, size):
            some = positions[start : start + size]
            above, below = (point.function.rounded(some, point.theta[some] + step) for step in (eps, -eps))
            with np.errstate(all="ignore"):
                rise = point.function.moved(some, above) - point.function.moved(some, below)
                found[:, some] = (rise / (above - below)[:, None]).T
    return found


def compare(point: Point, analytical: Array, numerical: Array, limits: Tolerances) -> Mismatch | None:
    """Judge a Jacobian by its numerical one; None where they agree.

    Parameters
    ----------
    analytical, numerical : (M, n); entries of the second that are looked at again are overwritten by better ones.
    """
    broken = np.argwhere(~(np.isfinite(analytical) & np.isfinite(numerical)))
    if broken.size:
        return Mismatch(point, analytical, numerical, broken)
    excess = np.empty_like(analytical)
    for output, of in point.blocks():
        block = (output.span, of.span)
        allowed = _allowed(point, numerical[block], output, of, limits)
        with np.errstate(all="ignore"):
            excess[block] = np.abs(analytical[block] - numerical[block]) / allowed
    excess[np.isnan(excess)] = 0.0  # nothing is off where nothing is allowed
    doubted = np.argwhere(excess > 1.0)
    if not doubted.size:
        return None
    doubted = doubted[np.argsort(-excess[tuple(doubted.T)], kind="stable")]
    return _looked_again(point, analytical, numerical, doubted, limits)


def _size(numerical: Array, of: Part) -> Array:
    """Sizes of the entries; of a complex input's derivatives, those of the complex numbers."""
    if not of.is_complex:
        return np.abs(numerical)
    return np.repeat(np.hypot(numerical[:, ::2], numerical[:, 1::2]), 2, axis=1)


def _allowed(point: Point, numerical: Array, output: Part, of: Part, limits: Tolerances) -> Array:
    """How far the entries of a block may be off."""
    size = _size(numerical, of)
    largest = size.max(axis=1, keepdims=True, initial=0.0)
    share = max(SHARE, limits.rtol) * largest
    # Noise that is no small part of the derivatives excuses nothing here: it is for the second look to tell.
    return np.asarray(limits.rtol * size + np.minimum(limits.atol, share)
                      + np.minimum(_noise(point, output, limits.eps), share))


def _noise(point: Point, output: Part, eps: float) -> float:
    """What the rounding of the outputs may do to a difference."""
    return NOISE * output.unit * float(np.max(np.abs(point.value[output.span]), initial=0.0)) / eps


@dataclass(frozen=True)
class _Line:
    """One output along single entries of theta, as ``refine`` asks for it."""

    point: Point
    row: int

    def __call__(self, which: Indices, distances: Array) -> tuple[Array, Array]:
        start = self.point.theta[which][:, None]
        positions = np.repeat(which, distances.shape[1])
        values = self.point.function.rounded(positions, (start + distances).reshape(-1))
        costs = self.point.function.moved(positions, values)[:, self.row]
        return values.reshape(distances.shape) - start, costs.reshape(distances.shape)


def _looked_again(
    point: Point, analytical: Array, numerical: Array, doubted: NDArray[np.intp], limits: Tolerances
) -> Mismatch | None:
    """Look with better steps at entries in doubt, until some are wrong beyond doubt."""
    unsure: list[NDArray[np.intp]] = []
    start, size = 0, FIRST_LOOK
    while start < len(doubted):
        batch, wrong = doubted[start : start + size], np.zeros(len(doubted[start : start + size]), dtype=bool)
        for row in np.unique(batch[:, 0]):
            here = np.flatnonzero(batch[:, 0] == row)
            wrong[here], hidden = _judge(point, int(row), batch[here, 1], analytical, numerical, limits)
            unsure.append(batch[here[hidden]])
        if wrong.any():
            # One mistake is enough for a verdict: the others in doubt are counted as the first look had them.
            return Mismatch(point, analytical, numerical, np.concatenate([batch[wrong], doubted[start + size :]]))
        start, size = start + size, LOOK
    left = np.concatenate(unsure) if unsure else doubted[:0]
    return Mismatch(point, analytical, numerical, left, inconclusive=True) if left.size else None


def _judge(
    point: Point, row: int, columns: Indices, analytical: Array, numerical: Array, limits: Tolerances
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which entries of a row are wrong, and which may be, but by no more than noise; writes the better differences."""
    output = point.output_of(row)
    noise = np.full(columns.size, output.unit * abs(float(point.value[row])))
    slopes = refine(_Line(point, row), columns, first_step(point.theta[columns]), float(point.value[row]), noise)
    blurred = ONE_SIDED_ROUNDING * slopes.noise / slopes.nearest
    given, first = analytical[row, columns], numerical[row, columns]
    with np.errstate(all="ignore"):
        low, high = np.fmin(slopes.left, slopes.right), np.fmax(slopes.left, slopes.right)
        at_kink = ~slopes.smooth & (high - low > NOISE * blurred)
        known = np.isfinite(slopes.error) & ~at_kink
        better = np.where(at_kink, np.clip(given, low, high), np.where(known, slopes.slope, first))
        error = NOISE * np.where(at_kink, blurred, np.where(known, slopes.error, 0.0))
    numerical[row, columns] = np.where(at_kink, first, better)
    off, plain, allowed = np.abs(given - better), np.empty(columns.size), np.empty(columns.size)
    for of in point.inputs:
        here = np.flatnonzero((columns >= of.tensor.start) & (columns < of.tensor.stop))
        if here.size:
            block = slice(row, row + 1), of.span
            where = columns[here] - of.tensor.start
            size = np.maximum(_size(numerical[block], of)[0, where], np.abs(better[here]))
            plain[here] = limits.atol + limits.rtol * size
            allowed[here] = _allowed(point, numerical[block], output, of, limits)[0, where]
    wrong = ~(off <= allowed + error)
    return wrong, ~wrong & (off > plain)
