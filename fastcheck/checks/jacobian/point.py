"""A function of several arrays at one point, its inputs and outputs each laid end to end as real numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices
from ...problems.parameters.tensor import Tensor

# Rounding of the derivatives themselves: this many unit roundoffs of each, and of the largest one of all.  A derivative
# that is zero because others cancel in it is made of nothing else.
ROUNDINGS = 16.0
# A step is at least this many unit roundoffs of the entry that it moves, or that entry would hardly move; in low
# precision no more than the power of the unit roundoff at which rounding and truncation of a difference meet.
LEAST_STEP = 2.0**14
# The step that unit roundoff to the power 1/3 makes of 1 in double precision, for which the default steps are.
DOUBLE_STEP = 1e-6
# A step is at most this share of an input's largest entry.
FAR = 1e-3
# An absolute tolerance counts up to this share of the largest derivative of the same output by the same input.
SHARE = 1e-2


def steps_of(theta: Array, unit: float, eps: float) -> Array:
    """Return steps for the entries theta of one input: eps, or more where it would be lost, or less where all of them
    are so small that it would reach over whatever the function does there.

    Parameters
    ----------
    unit : the largest unit roundoff of the entries and of the function's values.
    """
    finite = np.abs(theta[np.isfinite(theta)])
    largest = float(finite.max(initial=0.0))
    eps = min(eps, FAR * largest) if largest else eps
    least = DOUBLE_STEP * (unit / (UNIT_ROUNDOFF / 2.0)) ** (1.0 / 3.0) if unit > UNIT_ROUNDOFF else 0.0
    sizes = unit * min(LEAST_STEP, unit ** (-2.0 / 3.0)) * np.abs(theta)
    return np.asarray(np.where(np.isfinite(sizes), np.maximum(max(eps, least), sizes), max(eps, least)))


class Perturbed(Protocol):
    """A function at a point theta (n,), its inputs and outputs each laid end to end as real numbers."""

    def outputs_at(self, positions: Indices, values: Array) -> Array:
        """Return the outputs (k, M) with the entry ``positions[i]`` of theta set to ``values[i]``."""
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
    unit: float = UNIT_ROUNDOFF / 2.0

    @property
    def name(self) -> str:
        """The tensor's name."""
        return self.tensor.name

    @property
    def span(self) -> slice:
        """Where it lies in the vector."""
        return slice(self.tensor.start, self.tensor.stop)

    def place(self, position: int) -> str:
        """Return an entry in words: "[2, 0]", "[2, 0].imag", or nothing for a number."""
        index = [int(i) for i in np.unravel_index(position - self.tensor.start, self.tensor.shape or (1,))]
        tail = ""
        if self.is_complex:
            tail = ".imag" if index.pop() else ".real"
        elif not self.tensor.shape:
            index = []
        return (f"[{', '.join(map(str, index))}]" if index else "") + tail


@dataclass(frozen=True)
class Tolerances:
    """atol, rtol : as the framework's checker has them; eps : the step of the first differences.

    unit : unit roundoff of the derivatives that are judged, where it is larger than that of the function.
    """

    atol: float
    rtol: float
    eps: float
    unit: float = 0.0


@dataclass(frozen=True)
class Point:
    """A function at one point.

    function : gives outputs at moved inputs; theta (n,), value (M,) : the point and the outputs there.
    inputs, outputs : their parts, in order.
    jitter : how much the outputs may differ between two calls.
    """

    function: Perturbed
    theta: Array
    value: Array
    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]
    jitter: float = 0.0

    @property
    def unit(self) -> float:
        """The largest unit roundoff of the outputs."""
        return max((part.unit for part in self.outputs), default=UNIT_ROUNDOFF / 2.0)

    def steps(self, part: Part, eps: float) -> Array:
        """Steps (size,) for the entries of an input: eps, or more where it would be lost in them or in the outputs."""
        return steps_of(self.theta[part.span], max(part.unit, self.unit), eps)

    def rounding(self, output: Part) -> float:
        """Return the rounding of an output's largest value, and how much it may differ between two calls."""
        return output.unit * float(np.max(np.abs(self.value[output.span]), initial=0.0)) + self.jitter

    def blocks(self) -> Iterator[tuple[Part, Part]]:
        """Yield every output with every input."""
        return ((output, of) for output in self.outputs for of in self.inputs)

    def output_of(self, row: int) -> Part:
        """Return the output that a row of the Jacobian belongs to."""
        return next(part for part in self.outputs if row < part.tensor.stop)

    def input_of(self, position: int) -> Part:
        """Return the input that a column of the Jacobian belongs to."""
        return next(part for part in self.inputs if position < part.tensor.stop)
