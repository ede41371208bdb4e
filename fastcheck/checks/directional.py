"""What random directions lead to: entries to check one by one, and rows for directions that no entry explains."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .._types import Array, Indices
from ..engines.finite.directional import NOISE, Probe
from ..problems.gradients import AnalyticGradient, NumericalGradient
from ..problems.parameters.sampling import choose
from ..problems.parameters.tensor import Tensor
from ..verdict.judge import TOLERANCE
from ..verdict.low_precision import tolerance_in

if TYPE_CHECKING:
    from numpy.random import Generator

# Entries of each tensor that are checked one by one beside random directions.
BESIDE = 2


def allowed(subject: AnalyticGradient, tolerance: float | None) -> float:
    """Relative disagreement that no tensor is blamed for."""
    if tolerance is not None:
        return tolerance
    return max([TOLERANCE, *(tolerance_in(dtype, subject) for dtype in subject.precision.values())])


def entries_beside(probed: Probe, tensors: Sequence[Tensor], generator: "Generator") -> Indices:
    """The entries that directions led to and a few of each tensor, ascending."""
    few = choose(tensors, BESIDE * len(tensors), generator)
    return np.union1d(few, [s.entry for s in probed.suspects]).astype(np.int64)


def with_unlocated(
    probed: Probe, subject: AnalyticGradient, found: NumericalGradient, step: float | Array, tolerance: float
) -> tuple[AnalyticGradient, NumericalGradient, float | Array]:
    """Add a row for each direction that disagrees beyond doubt though the entry it was traced to does not."""
    checked = np.arange(subject.theta.size) if subject.indices is None else subject.indices
    lost = []
    for suspect in probed.suspects:
        place = int(np.searchsorted(checked, suspect.entry))
        there = place < checked.size and checked[place] == suspect.entry
        apart = abs(found.gradapprox[place] - subject.gradient[suspect.entry]) if there else 0.0
        size = abs(found.gradapprox[place]) + abs(subject.gradient[suspect.entry]) if there else 0.0
        if suspect.beyond and apart <= tolerance * size + NOISE * found.noise[place if there else 0]:
            lost.append(suspect)
    if not lost:
        return subject, found, step
    n = subject.theta.size
    rows = tuple(Tensor(f"{s.tensor.name} along a direction", (1,), n + i, n + i + 1) for i, s in enumerate(lost))
    slopes = np.array([s.slope for s in lost])
    subject = AnalyticGradient(
        subject.tensors + rows, np.append(subject.theta, np.zeros(len(lost))),
        np.append(subject.gradient, [s.expected for s in lost]), np.append(checked, n + np.arange(len(lost))),
        {**subject.precision, **{r.name: subject.precision[s.tensor.name] for r, s in zip(rows, lost, strict=True)
                                 if s.tensor.name in subject.precision}},
    )
    at_theta, one = np.full(len(lost), found.cost), np.ones(len(lost))
    found = NumericalGradient(
        found.cost, np.append(found.J_plus, at_theta), np.append(found.J_minus, at_theta),
        np.append(found.gradapprox, slopes),
        np.append(found.noise, [s.error for s in lost]), found.kinks, found.notes, found.facts, settled=True,
    )
    return subject, found, step if isinstance(step, float) else np.append(step, one)
