"""Rounding of the loss's own derivative, carried back to the parameters.

1 - p, where p is near one, rounds alike at all points a rounding beside a step's: runs there do not show it.  It arises
between a module's outputs z and its loss, and the chain rule carries it back.  With the loss's derivative g by z, as
the step's precision gives it and in double precision, both at the outputs that the step had, a right step has

    its gradients  =  the truth  +  J^T (g_low(z) - g_double(z))  +  rounding of the module's own passes,

where the module's backward pass stands for J^T.  Without the second term they are what that pass makes of an exact g,
with all mistakes of the module, forward and backward.  One of the loss's own backward pass would be in the second term:
that is told from rounding as elsewhere, by outputs further away (see ``fastcheck.verdict.shared``).
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from .._constants import ENTRY_ROUNDINGS, FURTHER, RESOLVED_LOW
from .._types import Array
from ..checks.low_precision import RUNS_FURTHER, SECONDS, NoTruthError
from ..verdict.shared import power_beside
from .case import Case, detached
from .low_precision import Point, Twin, by_itself, dithered, moves

# A module's outputs are made smaller by these until the loss's derivative is no longer next to nothing.
SMALLER = (2.0**-1, 2.0**-2, 2.0**-3, 2.0**-4, 2.0**-5, 2.0**-6)


class Outputs(nn.Module):
    """Outputs of a module, as parameters of one that gives just them.

    Parameters
    ----------
    found : what the module returned: tensors, and tuples and dictionaries of them.
    """

    def __init__(self, found: Any) -> None:
        super().__init__()
        self._found = tree_map(detached, found)
        self.numbers = nn.ParameterList(nn.Parameter(number) for number in numbers_of(self._found))

    def forward(self) -> Any:
        """Return the outputs."""
        numbers = iter(self.numbers)
        return tree_map(lambda leaf: next(numbers) if moves(leaf) else leaf, self._found)


def numbers_of(found: Any) -> list[torch.Tensor]:
    """Return the tensors of real numbers among what a module returned."""
    return [leaf for leaf in tree_leaves(found) if moves(leaf)]


def loss_rounding(case: Case, seed: int) -> dict[str, Array]:
    """Return what rounding of the loss's own derivative adds to a step's gradients, by name.

    Nothing where that is no more than other rounding, where it may be a mistake, and where a loss wants more of the
    outputs than their numbers.

    Parameters
    ----------
    case : the step, which runs as it did.
    seed : of the outputs further away.
    """
    point = Point.of(case)
    try:
        here = _loss_at(case, point)
        if not _is_rounding(here, seed):
            return {}
        return _carried_back(case, point, _errors(here, Point.of(here)))
    except (NoTruthError, RuntimeError):  # a gradient penalty wants their history, as an example
        return {}


def without_loss_rounding(case: Case, point: Point) -> Array:
    """Return the gradients (n,) at a point, as ``by_itself``, but for what rounding of the loss's derivative adds."""
    here = _loss_at(case, point)
    added = _carried_back(case, point, _errors(here, replace(Point.of(here), factor=point.factor)))
    return by_itself(case, point) - np.concatenate([one.reshape(-1) for one in added.values()])


def _loss_at(case: Case, point: Point) -> Case:
    """Return the loss as a function of the outputs that the module has at a point."""
    kept: list[Outputs] = []

    def seen(found: Any, *targets: Any) -> torch.Tensor:
        kept.append(Outputs(found))
        return case.loss(found, *targets)

    replace(case, loss=seen, args=point.args, kwargs=point.kwargs).function(detached)(*point.parameters)
    here = Case.of(kept[-1], case.loss, (), case.targets, frozen=False)
    here.coarse = case.coarse
    return here


def _errors(here: Case, point: Point) -> list[torch.Tensor]:
    """Return what a loss's derivative by each of the outputs is off by."""
    truths = Twin(here).run(point)[1].values()
    low = np.split(by_itself(here, point), np.cumsum([truth.size for truth in truths])[:-1])
    return [torch.as_tensor(one.reshape(truth.shape) - truth) for one, truth in zip(low, truths, strict=True)]


def _carried_back(case: Case, point: Point, errors: list[torch.Tensor]) -> dict[str, Array]:
    """Return the module's transposed Jacobian at a point times errors of its outputs.

    That is as the module's own backward pass has it, whose roundings are of errors here and far below what matters.
    """
    def along(found: Any, *targets: Any) -> torch.Tensor:
        products = [(one * error.to(one)).sum() for one, error in zip(numbers_of(found), errors, strict=True)]
        return torch.stack(products).sum()

    here = replace(case, loss=along, args=point.args, kwargs=point.kwargs)
    found = here.gradients(detached, [value.clone() for value in point.parameters])
    return dict(zip(case.parameters, (np.asarray(one, np.float64) for one in found), strict=True))


def _is_rounding(here: Case, seed: int) -> bool:
    """Tell whether a loss's derivative is off by more than other rounding, and by nothing but rounding."""
    twin, shapes = Twin(here), [tuple(one.shape) for one in here.parameters.values()]
    if _is_of_larger_terms(here, twin):
        return True
    stops = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    for reach in sorted({max(reach, here.coarse) for reach in FURTHER}):
        runs = dithered(replace(here, coarse=reach), twin, seed, SECONDS, by_itself, RUNS_FURTHER)[1]
        own = runs.gradients[0] - runs.truths[0]
        if np.linalg.norm(own) <= ENTRY_ROUNDINGS * here.coarse * np.linalg.norm(runs.truths[0]):
            return False
        parts = (np.split(part, stops, axis=1) for part in (runs.gradients, runs.truths))
        if all(_explains(low, true, shape, here.coarse) for low, true, shape in zip(*parts, shapes, strict=True)):
            return True
    return False


def _is_of_larger_terms(here: Case, twin: Twin) -> bool:
    """Tell whether a loss's derivative is off by no more than rounding of the terms that cancel in it.

    Where everything is learned the derivative is next to nothing, and what is left of p - 1 is rounding alone: at all
    points around.  Smaller outputs show how large the terms are, and that the backward pass is right about them.
    """
    point = Point.of(here)
    error = math.hypot(*(float(one.norm()) for one in _errors(here, point)))
    for share in SMALLER:
        less = replace(point, parameters=[one * share for one in point.parameters])
        truths = twin.run(less)[1].values()
        terms = ENTRY_ROUNDINGS * here.coarse * math.hypot(*(float(np.linalg.norm(truth)) for truth in truths))
        if error <= terms and math.hypot(*(float(one.norm()) for one in _errors(here, less))) <= terms:
            return True
    return False


def _explains(gradients: Array, truths: Array, shape: tuple[int, ...], unit: float) -> bool:
    """Tell whether rounding explains what the first of runs (runs, entries) is off by."""
    own = gradients[:1] - truths[:1]
    return not own.any() or power_beside(own, truths[:1], (gradients[1:], truths[1:]), shape, unit) <= RESOLVED_LOW
