"""The noise of a cost as the entries of each tensor move, measured when first asked for."""

from typing import TYPE_CHECKING

import numpy as np

from ..._types import Array, Indices
from ...problems.parameters.tensor import Tensor
from .lines import ParameterLines
from .noise import FAR, NEAR, tensor_noise
from .steps import median

if TYPE_CHECKING:
    from numpy.random import Generator


class TensorNoise:
    """Standard deviations of a cost's rounding, by tensor.

    Parameters
    ----------
    lines : the cost.
    tensors : of theta.
    cost : J(theta).
    generator : draws the directions that noise is measured along.
    """

    def __init__(
        self, lines: ParameterLines, tensors: tuple[Tensor, ...], cost: float, generator: "Generator"
    ) -> None:
        self.lines, self.tensors, self.cost, self.generator = lines, tensors, cost, generator
        self.known: dict[Tensor, float] = {}

    def of(self, tensor: Tensor) -> float:
        """Return the standard deviation of the cost's rounding as entries of a tensor move a little."""
        if tensor not in self.known:
            theta = self.lines.theta
            size = median(np.abs(theta[tensor.start : tensor.stop])) or 1.0
            self.known[tensor] = tensor_noise(
                self.lines.costs_at, theta, tensor, NEAR * size, FAR * size, self.cost, self.generator
            )
        return self.known[tensor]

    def saw(self, tensor: Tensor, level: float) -> None:
        """Remember that a tensor's noise, where it was measured, is at least what its difference tables show."""
        if tensor in self.known:
            self.known[tensor] = max(self.known[tensor], level)

    def at(self, which: Indices, *, measure: bool = True) -> Array:
        """The noise of entries' tensors, for ascending positions (p,); without ``measure`` 0 where it is not known."""
        noise = np.zeros(which.size)
        for tensor in self.tensors:
            first, last = np.searchsorted(which, (tensor.start, tensor.stop))
            if first < last and (measure or tensor in self.known):
                noise[first:last] = self.of(tensor)
        return noise
