"""A gradient and what was found for it with the entries in another order, or without some tensors."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .._types import Array, Indices
from .gradients import AnalyticGradient, Kinks, NumericalGradient, Rounding
from .parameters.tensor import Tensor


def rearranged(
    subject: AnalyticGradient, found: NumericalGradient, tensors: Sequence[Tensor], order: Indices
) -> tuple[AnalyticGradient, NumericalGradient, Indices]:
    """Return the same with tensors laid out otherwise.

    Parameters
    ----------
    subject : what was checked; found : what an engine found.
    tensors : the new ones, end to end; all their names are names of ``subject.tensors``.
    order : (k,) for every new position of theta, the old one.

    Returns
    -------
    subject, found, and for every checked position, its place among those of ``found``.
    """
    n = subject.theta.size
    place = np.full(n, -1, np.int64)
    place[order] = np.arange(order.size)
    checked = np.arange(n) if subject.indices is None else subject.indices
    kept = np.flatnonzero(place[checked] >= 0)
    chosen = kept[np.argsort(place[checked[kept]], kind="stable")]
    indices = place[checked[chosen]]
    names = {tensor.name for tensor in tensors}
    made = replace(
        subject, tensors=tuple(tensors), theta=subject.theta[order], gradient=subject.gradient[order],
        indices=None if subject.indices is None and indices.size == order.size else indices,
        precision={name: dtype for name, dtype in subject.precision.items() if name in names},
        rounding=_rounding(subject, tensors, order),
    )
    return made, replace(
        found, J_plus=np.asarray(found.J_plus)[chosen], J_minus=np.asarray(found.J_minus)[chosen],
        gradapprox=found.gradapprox[chosen], noise=_noise(subject, found, checked)[chosen],
        truncation=None if found.truncation is None else found.truncation[chosen], kinks=_kinks(found, chosen),
        limits={name: limit for name, limit in found.limits.items() if name in names},
    ), chosen


def _noise(subject: AnalyticGradient, found: NumericalGradient, checked: Indices) -> Array:
    """Return the noise of every checked entry."""
    if found.noise.size in (1, checked.size):
        return np.broadcast_to(found.noise, checked.shape)
    return np.repeat(found.noise, [tensor.size for tensor in subject.tensors])


def _kinks(found: NumericalGradient, chosen: Indices) -> Kinks | None:
    """Return the kinks at their new places."""
    kinks = found.kinks
    if kinks is None:
        return None
    place = np.full(found.gradapprox.size, -1, np.int64)
    place[chosen] = np.arange(chosen.size)
    kept = np.flatnonzero(place[kinks.where] >= 0)
    kept = kept[np.argsort(place[kinks.where[kept]], kind="stable")]
    conventions = {name: slopes[kept] for name, slopes in kinks.conventions.items()}
    single = None if kinks.single is None else kinks.single[kept]
    return replace(kinks, where=place[kinks.where[kept]], low=kinks.low[kept], high=kinks.high[kept], single=single,
                   conventions=conventions)


def _rounding(subject: AnalyticGradient, tensors: Sequence[Tensor], order: Indices) -> Rounding | None:
    """Return the rounding of each tensor's gradient in its new order."""
    asked = subject.rounding
    if asked is None:
        return None
    before = {tensor.name: tensor for tensor in subject.tensors}
    after = {tensor.name: tensor for tensor in tensors}

    def of_tensor(name: str, unit: float) -> Any:
        errors: Any = asked(name, unit)
        return errors[order[after[name].start : after[name].stop] - before[name].start]

    return of_tensor
