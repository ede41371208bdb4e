"""A glance at a whole gradient: one random direction through all parameters, by exact differences of the cost."""

import math
from typing import TYPE_CHECKING

import numpy as np

from ..._types import Array
from ...engines.plain.directional import differences_along
from ...problems.networks.problem import Problem

if TYPE_CHECKING:
    from numpy.random import Generator

# Entries of a direction: random signs, and sizes at random from one to two, so that errors hardly ever cancel.
SIZES = np.concatenate([np.linspace(1.0, 2.0, 128), -np.linspace(1.0, 2.0, 128)])
# No parameter moves by more than this, times its tensor's size: exact differences need no larger step, and only a
# pre-activation that is exactly at a kink meets it.
STEP = 2.0**-60
# A relative disagreement below this is rounding.
ROUNDING = 1e-11
# A disagreement that turned out harmless excuses those up to this many times larger, ...
EXCUSED = 2.0
# ... and with every further glance a little less: rounding near an optimum does not excuse what comes elsewhere.
DECAY = 0.98


class Glance:
    """Compares gradients with exact differences along random directions, a fresh one each time.

    Parameters
    ----------
    generator : draws the directions.

    Notes
    -----
    Every tensor takes part in proportion to the inverse of its gradient's norm.  With T tensors, an entry that is off
    by more than 2 sqrt(T) ``allowed`` of that norm shows with certainty, if it is the only one.
    """

    def __init__(self, generator: "Generator") -> None:
        self.generator = generator
        self.allowed = ROUNDING
        self.seen = 0.0

    def suspects(self, problem: Problem, gradient: Array) -> bool:
        """Tell whether the gradient (n,) disagrees with the cost's slope along a random direction by more than usual.

        It may be rounding that does not matter: only a check can tell, and ``excuse`` then remembers for a while.
        """
        with np.errstate(all="ignore"):
            self.seen = self._disagreement(problem, gradient)
        suspicious = not self.seen <= self.allowed
        self.allowed = max(ROUNDING, DECAY * self.allowed)
        return suspicious

    def excuse(self) -> None:
        """A check of all parameters has passed: take no notice of disagreements as small as the last one."""
        if math.isfinite(self.seen):
            self.allowed = max(self.allowed, EXCUSED * self.seen)

    def _disagreement(self, problem: Problem, gradient: Array) -> float:
        """|slope - gradient . v| / ||gradient v||, less what a kink leaves open."""
        tensors = problem.network.tensors
        norms = [float(np.linalg.norm(gradient[t.start : t.stop])) for t in tensors]
        if not math.isfinite(sum(norms)):
            return math.inf
        direction = SIZES[self.generator.integers(0, SIZES.size, gradient.size, dtype=np.uint8)]
        least, largest = STEP * max(norms) or 1.0, 0.0
        for tensor, norm in zip(tensors, norms, strict=True):
            theta, scale = problem.theta[tensor.start : tensor.stop], 1.0 / (norm or least)
            direction[tensor.start : tensor.stop] *= scale
            largest = max(largest, scale / (float(np.linalg.norm(theta)) / math.sqrt(theta.size) or 1.0))
        step = STEP / largest
        plus, minus = differences_along(problem)(direction, step)
        apart = abs((plus - minus) / (2.0 * step) - float(np.dot(gradient, direction))) - abs(plus + minus) / step
        if not any(norms):  # no size to measure by
            return math.inf if apart > 0.0 else 0.0
        return apart / math.sqrt(len(norms)) if math.isfinite(apart) else math.inf
