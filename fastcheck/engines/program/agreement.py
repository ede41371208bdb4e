"""Whether gradients are those of a program: along a few random directions through everything."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..._types import Array

# Directions, and the step of each: so short that nothing but the slope counts.
DIRECTIONS, STEP = 3, 2.0**-40
# What is off by more than this share is wrong; in double precision, where what is right agrees to 1e-12, ...
WRONG_IN_DOUBLE = 1e-8
# ... and in less.
WRONG = 1e-4


def agrees(
    slopes: Callable[[Mapping[int, Array]], Array], inputs: Sequence[Array], gradients: Sequence[Array], *, double: bool
) -> bool:
    """Tell whether a program changes along random directions as gradients say.

    Parameters
    ----------
    slopes : the program's changes (k,) where inputs change, by number, (k, *shape) each.
    inputs, gradients : real arrays, one of each.
    double : whether the gradients are in double precision.
    """
    generator, changes, expected, size = np.random.default_rng(0), {}, np.zeros(DIRECTIONS), 0.0
    for number, (value, gradient) in enumerate(zip(inputs, gradients, strict=True)):
        step = STEP * (float(np.sqrt(np.mean(np.asarray(value, np.float64) ** 2))) or 1.0)
        changes[number] = step * generator.standard_normal((DIRECTIONS, *np.shape(value)))
        terms = np.asarray(gradient, np.float64) * changes[number]
        expected += terms.reshape(DIRECTIONS, -1).sum(1)
        size = math.hypot(size, float(np.linalg.norm(terms)))
    apart = np.abs(slopes(changes) - expected)
    return bool(apart.max() <= (WRONG_IN_DOUBLE if double else WRONG) * size)
