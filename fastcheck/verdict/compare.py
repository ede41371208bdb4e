"""Two gradients cut into one comparison per tensor."""

import math

import numpy as np

from ..problems.gradients import AnalyticGradient, NumericalGradient
from .comparison import Comparison
from .kinks import TensorKinks
from .tolerance import held_to


def comparisons(
    subject: AnalyticGradient, differences: NumericalGradient, tolerance: float | None = None
) -> list[Comparison]:
    """Return one comparison per tensor, in the order of theta; views wherever all of theta is checked.

    Parameters
    ----------
    tolerance : largest relative difference, None for the default (see ``tolerance.held_to``).
    """
    noise = np.atleast_1d(np.asarray(differences.noise, dtype=np.float64))
    kinks = differences.kinks if math.isfinite(differences.cost) else None  # no side of nan is a slope
    indices = subject.indices
    per_tensor = indices is None and noise.size == len(subject.tensors)
    found = []
    for place, tensor in enumerate(subject.tensors):
        if indices is None:
            first, last, where = tensor.start, tensor.stop, None
            gradient = subject.gradient[first:last]
        else:
            first, last = (int(i) for i in np.searchsorted(indices, (tensor.start, tensor.stop)))
            where = indices[first:last] - tensor.start
            gradient = subject.gradient[indices[first:last]]
        touched = None
        if kinks is not None and kinks.where.size:
            chosen = (kinks.where >= first) & (kinks.where < last)
            if chosen.any():
                touched = TensorKinks(
                    kinks.where[chosen] - first, kinks.low[chosen], kinks.high[chosen],
                    {name: values[chosen] for name, values in kinks.conventions.items()}, kinks.of_line,
                    None if kinks.single is None else kinks.single[chosen],
                )
        found.append(Comparison(
            tensor, first, where, gradient, differences.gradapprox[first:last],
            noise[place : place + 1] if per_tensor else noise if noise.size == 1 else noise[first:last],
            None if differences.truncation is None else differences.truncation[first:last], touched,
            *held_to(tensor.name, subject, tolerance),
        ))
    return found
