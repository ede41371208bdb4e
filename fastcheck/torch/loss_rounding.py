"""Rounding of the loss's own derivative, carried back to the parameters.

1 - p, where p is near one, rounds alike at all points a rounding beside a step's: runs there do not show it.  It arises
between a module's outputs z and its loss, and the chain rule carries it back.  With the loss's derivative g by z, as
the step's precision gives it and in double precision, both at the outputs that the step had, a right step has

    its gradients  =  the truth  +  J^T (g_low(z) - g_double(z))  +  rounding of the module's own passes.

Mistakes of the module, forward and backward, are not in the second term.  One of the loss's backward pass would be:
that is told from rounding as elsewhere, by outputs further away (see ``fastcheck.verdict.shared``).
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from .._constants import FURTHER, RESOLVED_LOW
from .._types import Array
from ..checks.low_precision import RUNS_FURTHER
from ..verdict.shared import power_beside
from .case import Case, copied_buffers, detached, untouched
from .look import true_gradients
from .low_precision import SECONDS, NoTruthError, Twin, by_itself, dithered, moves


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

    Nothing where that may be a mistake, and where a loss wants more of the outputs than their numbers.

    Parameters
    ----------
    case : the step, which runs as it did.
    seed : of the outputs further away.
    """
    with untouched(case.plain, copied_buffers(case.plain)), case.drawing():
        outputs = Outputs(case.plain(*case.args, **case.kwargs))
    here = Case.of(outputs, case.loss, (), case.targets, frozen=False)
    here.coarse = case.coarse
    try:
        errors = _rounding(here, seed)
    except (NoTruthError, RuntimeError):  # a gradient penalty wants their history, as an example
        return {}
    if errors is None:
        return {}
    rounding = [torch.from_numpy(error).to(one.device) for error, one in zip(errors, outputs.numbers, strict=True)]

    def along(found: Any, targets: Any = None) -> torch.Tensor:
        return torch.stack([(one * error).sum() for one, error in zip(numbers_of(found), rounding, strict=True)]).sum()

    return true_gradients(replace(case, loss=along))


def _rounding(here: Case, seed: int) -> list[Array] | None:
    """Return the errors of a loss's derivative by each of the outputs; None where they may be a mistake."""
    twin, shapes = Twin(here), [tuple(one.shape) for one in here.parameters.values()]
    stops = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    for reach in sorted({max(reach, here.coarse) for reach in FURTHER}):
        runs = dithered(replace(here, coarse=reach), twin, seed, SECONDS, by_itself, RUNS_FURTHER)[1]
        parts = [np.split(part, stops, axis=1) for part in (runs.gradients, runs.truths)]
        if all(_is_rounding(low, true, shape, here.coarse) for low, true, shape in zip(*parts, shapes, strict=True)):
            return [(low[0] - true[0]).reshape(shape) for low, true, shape in zip(*parts, shapes, strict=True)]
    return None


def _is_rounding(gradients: Array, truths: Array, shape: tuple[int, ...], unit: float) -> bool:
    """Tell whether rounding explains what the first of runs (runs, entries) is off by, and hides no mistake."""
    own = gradients[:1] - truths[:1]
    return not own.any() or power_beside(own, truths[:1], (gradients[1:], truths[1:]), shape, unit) <= RESOLVED_LOW
