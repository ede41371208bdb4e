"""One look at a training step's gradients: a random direction through all parameters, by exact differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from .._constants import NOISE_SIGMAS
from .._errors import NoRule
from .._types import Array
from ..engines.program.everything import ROUNDINGS, closest
from ..engines.program.places import INNER_STEP, Place
from ..engines.program.runner import Runner
from ..engines.program.trust import UNIT, Along, Direction, norm_of
from ..problems.parameters.sampling import LEAST_SIZE, random_direction
from .case import Case, double
from .program.program import TorchProgram
from .rounding import NORM, errors_of, sizes_of

if TYPE_CHECKING:
    from numpy.random import Generator

# A disagreement along a direction below this is rounding of double precision.
IN_DOUBLE = 1e-11
# Roundings of the largest tensor's gradient that a gradient may consist of which is zero in theory (of a bias before a
# normalisation): the direction gives it no more weight than that leaves it.
CANCELLED = 32.0


@dataclass(frozen=True)
class Sight:
    """What a look saw.

    Parameters
    ----------
    disagreement : |slope - gradient . v| by the norm of the gradient's terms, for each candidate gradient in double
        precision; of candidates in less for the gradient that autograd gives in double precision, alone.
    reach : what one wrong entry adds to ``disagreement`` at least, off by the norm of its tensor's gradient; 0.0 where
        the cost is not finite, and every disagreement infinite.
    faint : names of tensors whose gradient is so small that they weigh less: next to nothing beside the others, as of a
        bias before a normalisation, it may consist of rounding.
    sizes : norms of the tensors' gradients in double precision, where candidates are in less.
    errors : what each such candidate is off by (see ``fastcheck.torch.rounding``).
    truth : the gradients that they are held against.
    """

    disagreement: list[float]
    reach: float
    faint: tuple[str, ...]
    sizes: dict[str, float] = field(default_factory=dict)
    errors: list[dict[str, Array]] = field(default_factory=list)
    truth: dict[str, Array] = field(default_factory=dict)

    @property
    def best(self) -> int:
        """The candidate that agrees best, in most of its tensors."""
        each = [sum(min(float(one[NORM]), 1.0) for one in error.values()) for error in self.errors]
        each = each or self.disagreement
        return int(np.argmin([math.inf if math.isnan(one) else one for one in each]))

    @property
    def seen(self) -> float:
        """The disagreement along the direction."""
        return self.disagreement[0 if self.errors else self.best]


def look(
    case: Case, candidates: Sequence[Mapping[str, Array]], unit: float, memory_limit: int, generator: "Generator"
) -> Sight:
    """Hold gradients against the cost's slope along a random direction.

    Those in less than double precision are held against autograd's in double precision, tensor by tensor, and those
    against the slope: so each tensor is judged by its own rounding, and the slope by that of double precision.

    Parameters
    ----------
    case : module, loss and data, with the random state of the step's forward pass.
    candidates : gradients by name, of which any one may be the step's.
    unit : unit roundoff that they were computed with.
    memory_limit : bytes that changes may take.
    generator : draws the direction.

    Raises
    ------
    NoRule : where the loss cannot be differenced exactly, or has no backward pass in double precision.

    Notes
    -----
    Every tensor takes part by the inverse of its gradient's norm, so that a wrong entry of any of them shows alike.
    """
    if unit <= UNIT:
        return _along_a_direction(case, candidates, memory_limit, generator)
    truth = true_gradients(case)
    sight = _along_a_direction(case, [truth], memory_limit, generator)
    if not sight.reach:
        return sight
    sizes = sizes_of(truth, unit)
    return replace(sight, sizes=sizes, errors=[errors_of(one, truth, sizes) for one in candidates], truth=truth)


def true_gradients(case: Case) -> dict[str, Array]:
    """Return the gradients that autograd gives in double precision, by name.

    Raises
    ------
    NoRule : where the backward pass fails in double precision.
    """
    values = [double(p).clone() for p in case.parameters.values()]
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            found = case.gradients(double, values)
    except RuntimeError as error:
        raise NoRule(f"a backward pass that fails in double precision ({error})") from error
    return dict(zip(case.parameters, found, strict=True))


def _along_a_direction(
    case: Case, candidates: Sequence[Mapping[str, Array]], memory_limit: int, generator: "Generator"
) -> Sight:
    """Hold gradients in double precision against the slope, what is detached standing still, as autograd has it."""
    parameters = case.parameters
    program = TorchProgram(case.function(double), [double(p) for p in parameters.values()], cut_loss=True)
    program = program.with_detached_still() or program
    if program.loss is None or program.weights is None:
        raise NoRule("a loss that does not depend on the parameters")
    if not math.isfinite(program.loss):
        return Sight([math.inf] * len(candidates), 0.0, ())
    runner = Runner(program, (program.weights,), memory_limit)
    places = {name: Place(number, double(p).detach().cpu().numpy())
              for number, (name, p) in enumerate(parameters.items()) if p.numel()}
    direction, reaches = _direction(places, candidates[0], generator)
    apart, norm = [], 0.0
    for gradient in candidates:
        parts = [np.asarray(gradient[name], np.float64).reshape(-1) * direction.changes[place]
                 for name, place in places.items()]
        expected = math.fsum(float(np.sum(terms)) for terms in parts)
        size = math.hypot(*(float(np.linalg.norm(terms)) for terms in parts))
        apart.append(_apart(expected, size, closest([direction], np.array([expected]), runner)))
        norm = norm or size
    top = max(reaches.values())
    faint = tuple(name for name, reach in reaches.items() if reach < (1.0 - IN_DOUBLE) * top)
    return Sight(apart, LEAST_SIZE * top / (norm or 1.0), faint)


def _apart(expected: float, size: float, found: Along | None) -> float:
    """The relative disagreement along a direction; 0 where it crosses a kink and nothing is known of it."""
    if found is None:
        return 0.0
    if not math.isfinite(expected + size):
        return math.inf
    room = NOISE_SIGMAS * ROUNDINGS * UNIT * float(found.terms[0])
    excess = max(0.0, abs(float(found.difference[0]) - expected) - room)
    if not size:
        return math.inf if excess else 0.0
    return excess / size


def _direction(
    places: Mapping[str, Place], gradient: Mapping[str, Array], generator: "Generator"
) -> tuple[Direction, dict[str, float]]:
    """Return a random direction in which tensors weigh alike, and what each one's gradient has in it."""
    norms = {name: norm_of(np.asarray(gradient[name], np.float64).reshape(-1)) for name in places}
    finite = [norm for norm in norms.values() if math.isfinite(norm)]
    floor = CANCELLED * UNIT / IN_DOUBLE * max(finite, default=0.0)
    scales = {name: 1.0 / (max(norm, floor) or 1.0) if math.isfinite(norm) else 1.0 for name, norm in norms.items()}
    reach = max(scale / (norm_of(places[name].value.reshape(-1)) / math.sqrt(places[name].size) or 1.0)
                for name, scale in scales.items())
    scales = {name: INNER_STEP / reach * scale for name, scale in scales.items()}
    direction = Direction({place: scales[name] * random_direction(generator, place.size)
                           for name, place in places.items()})
    return direction, {name: scale * norms[name] for name, scale in scales.items()}
