"""Derivatives of a function in low precision, held against the same in double precision by the spread of rounding.

The function runs forward and backward at points that differ by about one rounding of its inputs, with gradients of its
outputs that differ as much; in double precision it runs beside each, and its derivatives there have been proven.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from .._constants import UNIT_ROUNDOFFS
from .._types import Array
from ..verdict.spread import Spread, spread_of
from .answers import Answer, answer, outputs_of, random_upstream, truth
from .tensors import floating

RUNS = 32
# Below single precision fewer entries than this prove nothing: one may be off by several roundings of what cancels.
# And there only a factor counts: single entries and slices of some right operators are far off, since their coordinates
# are rounded (grid_sample).
ENOUGH = 16
# Outputs that differ from those in double precision by more unit roundoffs of the largest come of other choices, as
# those of fractional_max_pool3d, which rounding makes: gradients then differ as well, and nothing follows.
CHOICES = 16.0


def findings(call: Callable[..., Any], inputs: Sequence[Any], unit: float) -> dict[int, str]:
    """Return what is wrong with gradients in low precision, by the number of the input, to follow its name.

    Parameters and exceptions are those of ``spreads``.
    """
    found = {place: spread for place, spread in spreads(call, inputs, unit).items() if spread.finding}
    if unit > UNIT_ROUNDOFFS["float32"]:
        found = {place: spread for place, spread in found.items()
                 if spread.follows and inputs[place].numel() >= ENOUGH}
    return {place: spread.finding for place, spread in found.items()}


def spreads(call: Callable[..., Any], inputs: Sequence[Any], unit: float, seed: int = 0) -> dict[int, Spread]:
    """Return what the runs say about the gradient of each input, by its number.

    Inputs whose gradients are not finite at some point are left out, and all of them where the outputs are others.

    Parameters
    ----------
    call : takes the inputs, returns a tensor or a tuple of tensors.
    inputs : in low precision; those that require gradients are looked at.
    unit : the unit roundoff of the lowest precision among inputs and outputs.
    seed : of the points.

    Raises
    ------
    Whatever the function raises, in its own precision or in double.
    """
    generator = torch.Generator().manual_seed(seed)
    places = [k for k, value in enumerate(inputs) if isinstance(value, torch.Tensor) and value.requires_grad]
    upstream = random_upstream(outputs_of(call(*inputs)), generator)
    low: dict[int, list[Array]] = {place: [] for place in places}
    true: dict[int, list[Array]] = {place: [] for place in places}
    if not _alike(answer(call, inputs, upstream), truth(call, inputs, upstream), unit):
        return {}
    for run in range(RUNS):
        given = inputs if run == 0 else [jiggled(value, unit, generator) for value in inputs]
        passed = upstream if run == 0 else [jiggled(value, unit, generator) for value in upstream]
        for found, kept in ((answer(call, given, passed), low), (truth(call, given, passed), true)):
            for place, gradient in zip(places, _flat(found, [inputs[k] for k in places]), strict=True):
                kept[place].append(gradient)
    runs = {place: (np.stack(low[place]), np.stack(true[place])) for place in places}
    return {place: spread_of(gradients, truths, tuple(inputs[place].shape), unit)
            for place, (gradients, truths) in runs.items()
            if np.isfinite(gradients).all() and np.isfinite(truths).all() and gradients.size}


def _alike(low: Answer, true: Answer, unit: float) -> bool:
    """Tell whether outputs in low precision are those in double, but for a few roundings."""
    pairs = [(a.double(), b) for a, b in zip(low.outputs, true.outputs, strict=True) if floating(b) and b.numel()]
    return all(not float((a - b).abs().max()) > CHOICES * unit * float(b.abs().max()) for a, b in pairs)


def _flat(found: Answer, like: Sequence[torch.Tensor]) -> list[Array]:
    """Gradients as vectors of real numbers, zeros for those that are missing."""
    return [np.zeros(given.numel()) if gradient is None else gradient.detach().double().cpu().numpy().reshape(-1)
            for gradient, given in zip(found.gradients, like, strict=True)]


def jiggled(value: Any, unit: float, generator: torch.Generator) -> Any:
    """Return floating numbers moved by up to two roundings of a precision, to either side; anything else as it is."""
    if not floating(value) or value.is_complex():
        return value
    drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64) * 2 - 1
    moved = value.detach().double() * (1 + 2 * unit * drawn.to(value.device))
    return moved.to(value.dtype).requires_grad_(value.requires_grad)
