"""Targets as every network has them: (n_L, m), from labels, vectors and one-hot columns."""

from typing import Any

import numpy as np

from ..._types import Array
from ..._validation import real_array
from ...rules.losses import Cost


def targets_of(Y: Any, m: int, outputs: int, cost: Cost, name: str) -> Array:
    """Y as (n_L, m) float64: binary (m,) or (1, m), labels (m,), one-hot, soft or real targets (n_L, m).

    Parameters
    ----------
    Y : the targets; m : the number of samples; outputs : n_L.
    cost : what they are the targets of; name : what it is called.

    Raises
    ------
    ValueError, TypeError : for a wrong shape, labels out of range or not integers, targets outside [0, 1] for a
        cross-entropy, or soft targets that do not sum to one.
    """
    data = real_array("Y", Y)
    if cost.labels and data.shape in ((m,), (1, m)) and (data.ndim == 1 or outputs != 1):
        return _one_hot(data.reshape(-1), outputs)
    if data.shape == (m,) and outputs == 1:
        data = data.reshape(1, m)
    if data.shape != (outputs, m):
        labels = f" or integer labels ({m},)" if cost.labels else ""
        raise ValueError(f"Y: expected shape ({outputs}, {m}){labels} for X with {m} samples, got shape {data.shape}")
    data = np.ascontiguousarray(data, dtype=np.float64)
    if cost.output and not bool(np.all((data >= 0.0) & (data <= 1.0) | ~np.isfinite(data))):
        raise ValueError(f"Y: expected targets between 0 and 1 for {name}, got {data.min()} to {data.max()}")
    if cost.labels:
        sums = data.sum(axis=0)
        if np.any(np.abs(sums - 1.0) > 1e-6):
            raise ValueError(f"Y: expected soft targets that sum to one, got a sum over classes of {sums.min()}")
    return data


def _one_hot(labels: Array, classes: int) -> Array:
    if not bool(np.all(np.isfinite(labels))) or bool(np.any(labels != np.floor(labels))):
        raise ValueError(f"Y: expected labels that are integers from 0 to {classes - 1}, got others")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Y: expected labels from 0 to {classes - 1} (the output layer has {classes} units), "
            f"got {labels.min():g} to {labels.max():g}"
        )
    return np.asarray(labels[None, :] == np.arange(classes)[:, None], dtype=np.float64)
