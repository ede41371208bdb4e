"""What random directions lead to: entries to check one by one, and rows for directions that no entry explains."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .._constants import NOISE_SIGMAS
from .._types import Array, Indices
from ..engines.finite.directional import Probe, Suspect
from ..problems.gradients import AnalyticGradient, NumericalGradient, Rounding
from ..problems.parameters.sampling import choose
from ..problems.parameters.tensor import Tensor

if TYPE_CHECKING:
    from numpy.random import Generator

# Entries of each tensor that are checked one by one beside random directions.
BESIDE = 2


def entries_beside(
    probed: Probe, tensors: Sequence[Tensor], generator: "Generator", *, dear: bool = False
) -> Indices:
    """The entries that directions led to, and of each other tensor a few, or where they are ``dear`` of all; ascending.

    A tensor that directions disagree with has the entry that they led to, and needs no others to be wrong.
    """
    size = max(tensor.stop for tensor in tensors)
    agreed = [tensor for tensor in tensors if not any(suspect.tensor is tensor for suspect in probed.suspects)]
    if dear and size:
        few = generator.integers(size, size=BESIDE)
    else:
        few = choose(agreed, BESIDE * len(agreed), generator) if agreed else np.empty(0, np.int64)
    return np.union1d(few, [s.entry for s in probed.suspects]).astype(np.int64)


def with_directions(
    probed: Probe, subject: AnalyticGradient, found: NumericalGradient, step: float | Array, tolerance: float
) -> tuple[AnalyticGradient, NumericalGradient, float | Array]:
    """Add what directions found: what they would have shown, and a row for each that disagrees beyond doubt.

    A direction has a row only if the entry that it was traced to does not disagree by itself.  Where that entry has not
    its share of what the direction is off by, slopes do not add up, as where noise was not seen: the row blames nobody.
    """
    if not probed.limits:
        return subject, found, step
    found = replace(found, limits=probed.limits)
    checked = np.arange(subject.theta.size) if subject.indices is None else subject.indices
    noise = _noise_of_entries(subject, found)
    lost: list[Suspect] = []
    errors: list[float] = []
    for suspect in probed.suspects:
        place = int(np.searchsorted(checked, suspect.entry))
        there = place < checked.size and checked[place] == suspect.entry
        apart = abs(found.gradapprox[place] - subject.gradient[suspect.entry]) if there else 0.0
        size = abs(found.gradapprox[place]) + abs(subject.gradient[suspect.entry]) if there else 0.0
        room = tolerance * size + NOISE_SIGMAS * noise[place] if there else 0.0
        if suspect.beyond and apart <= room:
            most = (apart + NOISE_SIGMAS * noise[place]) * abs(suspect.direction[suspect.entry]) if there else math.inf
            lost.append(suspect)
            errors.append(suspect.error if most >= suspect.share else abs(suspect.slope - suspect.expected))
    if not lost:
        return subject, found, step
    n = subject.theta.size
    rows = tuple(Tensor(f"{s.tensor.name} along a direction", (1,), n + i, n + i + 1) for i, s in enumerate(lost))
    slopes = np.array([s.slope for s in lost])
    low = {row.name: subject.precision[s.tensor.name] for row, s in zip(rows, lost, strict=True)
           if s.tensor.name in subject.precision}  # fmt: skip
    along = replace(
        subject, tensors=subject.tensors + rows, theta=np.append(subject.theta, np.zeros(len(lost))),
        gradient=np.append(subject.gradient, [s.expected for s in lost]),
        indices=np.append(checked, n + np.arange(len(lost))), precision={**subject.precision, **low},
        rounding=_rounding_along(dict(zip((row.name for row in rows), lost, strict=True)), subject.rounding),
    )  # fmt: skip
    at_theta, one = np.full(len(lost), found.cost), np.ones(len(lost))
    found = replace(
        found, J_plus=np.append(found.J_plus, at_theta), J_minus=np.append(found.J_minus, at_theta),
        gradapprox=np.append(found.gradapprox, slopes), noise=np.append(noise, errors),
        truncation=_with_zeros(found.truncation, len(lost)), inside=_with_zeros(found.inside, len(lost)),
        lost=_with_zeros(found.lost, len(lost)), settled=True,
    )  # fmt: skip
    return along, found, step if isinstance(step, float) else np.append(step, one)


def _with_zeros(known: Array | None, count: int) -> Array | None:
    return None if known is None else np.append(known, np.zeros(count))


def _noise_of_entries(subject: AnalyticGradient, found: NumericalGradient) -> Array:
    """Return the noise of every checked entry, which may be known for all at once or for each tensor."""
    if found.noise.size == found.gradapprox.size:
        return found.noise
    if found.noise.size == 1:
        return np.full(found.gradapprox.size, found.noise[0])
    return np.repeat(found.noise, [tensor.stop - tensor.start for tensor in subject.tensors])


def _rounding_along(rows: Mapping[str, Suspect], rounding: Rounding | None) -> Rounding | None:
    """The rounding of a right gradient, of rows that stand for directions too: independent errors add as squares."""
    if rounding is None:
        return None

    def of_tensor(name: str, unit: float) -> Array:
        if name not in rows:
            return rounding(name, unit)
        tensor = rows[name].tensor
        moved = rows[name].direction[tensor.start : tensor.stop]
        return np.array([np.linalg.norm(rounding(tensor.name, unit) * moved)])

    return of_tensor
