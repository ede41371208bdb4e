"""Derivatives of a function in low precision, held against the same in double precision by the spread of rounding.

The function runs forward and backward at points that differ by about one rounding of its inputs, with gradients of its
outputs that differ as much; in double precision it runs beside each, and its derivatives there have been proven.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .._constants import FURTHER, UNIT_ROUNDOFFS
from .._types import Array
from ..checks.low_precision import RUNS_FURTHER
from ..verdict.shared import power_beside
from ..verdict.spread import Spread, spread_of
from .answers import Answer, answer, outputs_of, random_upstream, truth
from .tensors import floating, requires_gradient

# Gradients and truths (runs, entries).
Pair = tuple[Array, Array]

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

    Inputs whose gradients are not finite at some point are left out, and all of them where the outputs are others.

    Parameters
    ----------
    call : takes the inputs, returns a tensor or a tuple of tensors.
    inputs : in low precision; those that require gradients are looked at.
    unit : the unit roundoff of the lowest precision among inputs and outputs.

    Raises
    ------
    Whatever the function raises, in its own precision or in double.
    """
    runs = _Runs.of(call, inputs)
    if not runs.alike(unit):
        return {}
    beside = runs.moved(unit, RUNS, first=True)
    spreads = {place: spread_of(*beside[place], tuple(inputs[place].shape), unit) for place in beside}
    found = {place: spread for place, spread in spreads.items() if spread.finding}
    if unit > UNIT_ROUNDOFFS["float32"]:
        found = {place: spread for place, spread in found.items()
                 if spread.follows and inputs[place].numel() >= ENOUGH}
    return {place: spread.finding for place, spread in _unexplained(runs, beside, found, unit).items()}


def explains(call: Callable[..., Any], inputs: Sequence[Any], unit: float, row: int) -> bool:
    """Tell whether rounding explains what gradients of a single number among the outputs are off by, of all inputs.

    Parameters and exceptions are those of ``findings``; ``row`` counts through the numbers of the floating outputs that
    have gradients.
    """
    runs = _Runs.of(call, inputs).alone(row)
    beside = runs.moved(unit, RUNS, first=True)
    spreads = {place: spread_of(*both, tuple(inputs[place].shape), unit) for place, both in beside.items()
               if (both[0] != both[1]).any()}
    if len(beside) < len(runs.places) or not all(spread.resolved for spread in spreads.values()):
        return False
    return not _unexplained(runs, beside, {place: one for place, one in spreads.items() if one.finding}, unit)


def _unexplained(
    runs: "_Runs", beside: dict[int, Pair], found: dict[int, Spread], unit: float
) -> dict[int, Spread]:
    """Return the findings that rounding which all runs share (of 1 - a, where a is next to one) does not explain."""
    for reach in sorted({max(reach, unit) for reach in FURTHER}):
        if not found:
            break
        further = runs.moved(reach, RUNS_FURTHER)
        found = {place: spread for place, spread in found.items() if place not in further or not _shared(
            spread, beside[place], further[place], tuple(runs.inputs[place].shape), unit)}
    return found


def _shared(spread: Spread, runs: Pair, further: Pair, shape: tuple[int, ...], unit: float) -> bool:
    """Tell whether rounding that all runs share explains what seems wrong in them."""
    judged = slice(0, 1) if spread.here else slice(None)
    gradients, truths = (one[judged] for one in runs)
    return math.isfinite(power_beside(gradients - truths, truths, further, shape, unit))


@dataclass(frozen=True)
class _Runs:
    """A function in low precision and in double, forward and backward at several points.

    Parameters
    ----------
    call, inputs : of ``findings``.
    upstream : gradients of its outputs.
    generator : draws the points.
    """

    call: Callable[..., Any]
    inputs: Sequence[Any]
    upstream: Sequence[torch.Tensor]
    generator: torch.Generator

    @classmethod
    def of(cls, call: Callable[..., Any], inputs: Sequence[Any], seed: int = 0) -> "_Runs":
        """Return them, with random gradients of the outputs."""
        generator = torch.Generator().manual_seed(seed)
        return cls(call, inputs, random_upstream(outputs_of(call(*inputs)), generator), generator)

    @property
    def places(self) -> list[int]:
        """Numbers of the inputs whose gradients are looked at."""
        return [k for k, value in enumerate(self.inputs) if requires_gradient(value)]

    def alone(self, row: int) -> "_Runs":
        """Return the same with a gradient of one at one number of the outputs that have gradients, and else of zero."""
        outputs = outputs_of(self.call(*self.inputs))
        upstream = []
        for output in outputs:
            one = torch.zeros_like(output, requires_grad=False)
            if floating(output) and output.requires_grad:
                if 0 <= row < output.numel():
                    one.view(-1)[row] = 1.0
                row -= output.numel()
            upstream.append(one)
        return replace(self, upstream=upstream)

    def alike(self, unit: float) -> bool:
        """Tell whether outputs in low precision are those in double, but for a few roundings."""
        given = self.call, self.inputs, self.upstream
        return _alike(answer(*given), truth(*given), unit)

    def moved(self, reach: float, count: int, *, first: bool = False) -> dict[int, Pair]:
        """Return gradients and truths (count, entries) of each input at points that are moved, where all are finite.

        Parameters
        ----------
        reach : by up to twice that, relative to each entry.
        count : how many points.
        first : whether the first of them is the point itself.
        """
        low: dict[int, list[Array]] = {place: [] for place in self.places}
        true: dict[int, list[Array]] = {place: [] for place in self.places}
        like = [self.inputs[place] for place in self.places]
        for run in range(count):
            given, passed = self.inputs, self.upstream
            if run or not first:
                given, passed = ([jiggled(value, reach, self.generator) for value in part] for part in (given, passed))
            for found, kept in ((answer(self.call, given, passed), low), (truth(self.call, given, passed), true)):
                for place, gradient in zip(self.places, _flat(found, like), strict=True):
                    kept[place].append(gradient)
        runs = {place: (np.stack(low[place]), np.stack(true[place])) for place in self.places}
        return {place: both for place, both in runs.items() if both[0].size and np.isfinite(both).all()}


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
