"""Some samples of a problem, laid out as the kernels of ``columns`` need them."""

from dataclasses import dataclass

import numpy as np

from ..._types import Array
from ...problems.networks.operations import column_operations
from ...problems.networks.problem import Problem
from ...rules.short_series import REACH
from .kernel_arrays import LINEAR, KernelArrays

# An activation's two differences without its series take as long as this many multiply-adds.
EXACT_OPERATIONS = 60.0


@dataclass(frozen=True)
class Block:
    """Samples first to last of a problem.

    inputs : per layer (m, n + 1), what its units read, sample by sample, with a column of ones for the bias.
    losses : (m,) at theta.  scale : the cost's factor before the sum over *all* samples.
    """

    problem: Problem
    epsilon: float
    first: int
    last: int
    inputs: list[Array]
    losses: Array
    arrays: KernelArrays
    scale: float

    @property
    def m(self) -> int:
        """Samples in the block."""
        return self.last - self.first

    def steps(self, layer: int) -> Array:
        """h (m,): the largest change of a pre-activation of the layer, epsilon max(1, max |a|)."""
        return np.asarray(self.epsilon * np.max(np.abs(self.inputs[layer]), axis=1))

    def far(self, layer: int) -> bool:
        """Tell whether the layer's steps are too long for the short series of activations."""
        return bool(self.steps(layer).max() > REACH)

    def operations(self, layer: int) -> float:
        """Multiply-adds, or what takes as long, for one unit of the layer and one sample, both signs."""
        widths = self.problem.network.widths
        exact = EXACT_OPERATIONS * sum(widths[layer + 2 :]) if self.far(layer) else 0.0
        return column_operations(widths, layer) + exact

    def mirrored(self, layer: int) -> bool:
        """Tell whether negative columns are the positive ones negated up to the output, kinks apart."""
        return bool(np.all(self.arrays.layers[layer:-1, LINEAR]))
