"""One look at a training step's gradients: a random direction through all parameters, by exact differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .._constants import NOISE_SIGMAS, UNIT_ROUNDOFFS
from .._errors import NoRule
from .._types import Array
from ..engines.program.everything import ROUNDINGS, closest
from ..engines.program.runner import INNER_STEP, Place, Runner
from ..engines.program.trust import UNIT, Along, Direction
from ..problems.parameters.sampling import LEAST_SIZE, random_direction
from .case import Case, double
from .program.program import TorchProgram

if TYPE_CHECKING:
    from numpy.random import Generator

# A disagreement along a direction below this is rounding: in double precision, and in unit roundoffs of any other, at
# most.  A larger one leads to a check, which judges.  In single precision (5e-3) rounding carries some pre-activation
# across a kink now and then, and with it a sample's share of the gradient: no check can tell that from a mistake.
IN_DOUBLE, IN_ROUNDOFFS, AT_MOST = 1e-11, 8.4e4, 0.1
# Random directions of a look: in less than single precision rounding leaves a wrong tensor no more than a few times its
# own size to show, and along one direction its errors may cancel to less than that.
SHARP, COARSE = 1, 4
# Roundings of the largest tensor's gradient that a gradient may consist of which is zero in theory (of a bias before a
# normalisation): the direction gives it no more weight than that leaves it.
CANCELLED = 32.0


def least_disagreement(unit: float) -> float:
    """Return the disagreement that is looked into, for gradients computed with a unit roundoff."""
    return IN_DOUBLE if unit <= UNIT else min(IN_ROUNDOFFS * unit, AT_MOST)


@dataclass(frozen=True)
class Sight:
    """What a look saw.

    Parameters
    ----------
    disagreement : |slope - gradient . v| by the norm of the gradient's terms, for each candidate gradient.
    reach : what one wrong entry adds to ``disagreement`` at least, off by the norm of its tensor's gradient.
    faint : names of tensors whose gradient is so small that they weigh less: next to nothing beside the others, as of a
        bias before a normalisation, it may consist of rounding.
    """

    disagreement: list[float]
    reach: float
    faint: tuple[str, ...]

    @property
    def best(self) -> int:
        """The candidate that agrees best."""
        return int(np.argmin([math.inf if math.isnan(one) else one for one in self.disagreement]))


def look(
    case: Case, candidates: Sequence[Mapping[str, Array]], unit: float, memory_limit: int, generator: "Generator"
) -> Sight:
    """Hold gradients against the cost's slope along random directions: one, or in less than single precision a few.

    Parameters
    ----------
    case : module, loss and data, with the random state of the step's forward pass.
    candidates : gradients by name, of which any one may be the step's.
    unit : unit roundoff that they were computed with.
    memory_limit : bytes that changes may take.
    generator : draws the direction.

    Raises
    ------
    NoRule : where the loss cannot be differenced exactly.

    Notes
    -----
    Every tensor takes part by the inverse of its gradient's norm, so that a wrong entry of any of them shows alike.
    """
    parameters = case.parameters
    program = TorchProgram(case.function(double), [double(p) for p in parameters.values()], cut_loss=True)
    if program.loss is None or program.weights is None:
        raise NoRule("a loss that does not depend on the parameters")
    runner = Runner(program, (program.weights,), memory_limit)
    places = {name: Place(number, double(p).cpu().numpy()) for number, (name, p) in enumerate(parameters.items())
              if p.numel()}
    directions, reaches = _directions(places, candidates[0], unit, generator)
    apart, norm = [], 0.0
    for gradient in candidates:
        parts = [[np.asarray(gradient[name], np.float64).reshape(-1) * direction.changes[place]
                  for name, place in places.items()] for direction in directions]
        expected = np.array([math.fsum(float(np.sum(terms)) for terms in one) for one in parts])
        sizes = np.array([math.hypot(*(float(np.linalg.norm(terms)) for terms in one)) for one in parts])
        apart.append(_apart(expected, sizes, closest(directions, expected, runner)))
        norm = norm or float(sizes[0])
    top = max(reaches.values())
    faint = tuple(name for name, reach in reaches.items() if reach < (1.0 - IN_DOUBLE) * top)
    return Sight(apart, LEAST_SIZE * top / (norm or 1.0), faint)


def _apart(expected: Array, sizes: Array, found: Along | None) -> float:
    """The largest relative disagreement along directions; 0 where they cross a kink and nothing is known of them."""
    if found is None:
        return 0.0
    if not (np.isfinite(expected).all() and np.isfinite(sizes).all()):
        return math.inf
    room = NOISE_SIGMAS * ROUNDINGS * UNIT * found.terms
    excess = np.maximum(0.0, np.abs(found.difference - expected) - room)
    if not sizes.all():
        return math.inf if excess.any() else 0.0
    return float(np.max(excess / sizes))


def _directions(
    places: Mapping[str, Place], gradient: Mapping[str, Array], unit: float, generator: "Generator"
) -> tuple[list[Direction], dict[str, float]]:
    """Return random directions in which tensors weigh alike, and what each one's gradient has in them."""
    norms = {name: float(np.linalg.norm(np.asarray(gradient[name], np.float64))) for name in places}
    finite = [norm for norm in norms.values() if math.isfinite(norm)]
    floor = min(CANCELLED * unit / least_disagreement(unit), AT_MOST) * max(finite, default=0.0)
    scales = {name: 1.0 / (max(norm, floor) or 1.0) if math.isfinite(norm) else 1.0 for name, norm in norms.items()}
    reach = max(scale / (float(np.sqrt(np.mean(places[name].value**2))) or 1.0) for name, scale in scales.items())
    scales = {name: INNER_STEP / reach * scale for name, scale in scales.items()}
    count = COARSE if unit > UNIT_ROUNDOFFS["float32"] else SHARP
    directions = [Direction({place: scales[name] * random_direction(generator, place.size)
                             for name, place in places.items()}) for _ in range(count)]
    return directions, {name: scale * norms[name] for name, scale in scales.items()}


def unit_of_step(parameters: Mapping[str, torch.Tensor], coarse: float, autocast: torch.dtype | None) -> float:
    """Return the largest unit roundoff that a step's gradients are computed with.

    Parameters
    ----------
    parameters : by name.
    coarse : that of the module's own casts, 0.0 for none.
    autocast : the type that the forward pass casts to; None for none.
    """
    types = [*(p.dtype for p in parameters.values()), *([] if autocast is None else [autocast])]
    return max([coarse, UNIT / 2.0, *(torch.finfo(dtype).eps / 2.0 for dtype in types)])
