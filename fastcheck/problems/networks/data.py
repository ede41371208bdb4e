"""Data as every network has them: inputs (n_x, m), and targets (n_L, m) from labels, vectors and one-hot columns."""

from typing import Any

import numpy as np

from ..._types import Array
from ..._validation import real_array
from ...rules.losses import Cost


def inputs_of(X: Any, inputs: int) -> Array:
    """Give X as (n_x, m) float64, C-contiguous.

    Raises
    ------
    ValueError, TypeError : for another number of rows than ``inputs``, no columns, and what is not an array of numbers.
    """
    data = real_array("X", X)
    if data.ndim != 2 or data.shape[0] != inputs:
        raise ValueError(f"X: expected shape ({inputs}, m), samples in columns, or (m, {inputs}), in rows, "
                         f"got shape {data.shape}{_to_fit(data.shape, inputs)}")
    if data.shape[1] == 0:
        raise ValueError(f"X: expected at least one sample (column), got an empty batch of shape {data.shape}")
    return np.ascontiguousarray(data, dtype=np.float64)


def _to_fit(shape: tuple[int, ...], inputs: int) -> str:
    """What to do about inputs of a shape that is none of theirs."""
    if shape == (inputs,):
        return f"; one sample is X.reshape({inputs}, 1)"
    if len(shape) == 2 and shape[1] == inputs:
        return "; pass X.T"
    return "; flatten each sample to a column first" if len(shape) > 2 else ""


def in_columns(X: Any, Y: Any, inputs: int, outputs: int) -> tuple[Any, Any]:
    """Turn data with samples in rows, X (m, n_x) and Y (m, n_L), (m, 1) or (m,), into data with samples in columns.

    Raises
    ------
    ValueError, TypeError : for other shapes, and for what is not an array of numbers.
    """
    data, targets = real_array("X", X), real_array("Y", Y)
    if data.ndim != 2 or data.shape[1] != inputs:
        raise ValueError(f"X: expected shape (m, {inputs}), samples in rows, got shape {data.shape}")
    m = data.shape[0]
    if targets.ndim != 1 and targets.shape not in ((m, outputs), (m, 1)):
        hint = "; pass Y.T" if targets.shape == (outputs, m) else ""
        raise ValueError(f"Y: expected shape ({m}, {outputs}) or ({m},) for X with {m} samples in rows, "
                         f"got shape {targets.shape}{hint}")
    return data.T, targets.T


def targets_of(Y: Any, m: int, outputs: int, cost: Cost, name: str) -> Array:
    """Y as (n_L, m) float64: binary (m,) or (1, m), labels (m,), one-hot, soft or real targets (n_L, m).

    Parameters
    ----------
    Y : the targets, labels as (1, m) too; m : the number of samples; outputs : n_L.
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
        hint = {(m, outputs): "; samples lie in columns, pass Y.T",
                (m, 1): "; pass Y.ravel()" if cost.labels else "",
                (m,): f"; of class numbers pass np.eye({outputs})[:, Y]"}.get(data.shape, "")
        raise ValueError(
            f"Y: expected shape ({outputs}, {m}){labels} for X with {m} samples, got shape {data.shape}{hint}"
        )
    data = np.ascontiguousarray(data, dtype=np.float64)
    if cost.output and not 0.0 <= data.min() <= data.max() <= 1.0 and not bool(
            np.all((data >= 0.0) & (data <= 1.0) | ~np.isfinite(data))):
        raise ValueError(f"Y: expected targets between 0 and 1 for {name}, got {data.min()} to {data.max()}")
    if cost.labels:
        sums = data.sum(axis=0)
        if np.any(np.abs(sums - 1.0) > 1e-6):
            raise ValueError(f"Y: expected soft targets that sum to one, got a sum over classes of {sums.min()}")
    return data


def _one_hot(labels: Array, classes: int) -> Array:
    if labels.dtype.kind == "f" and not bool(np.all(np.isfinite(labels) & (labels == np.floor(labels)))):
        raise ValueError(f"Y: expected labels that are integers from 0 to {classes - 1}, got others")
    least, most = labels.min(), labels.max()
    if least < 0 or most >= classes:
        raise ValueError(
            f"Y: expected labels from 0 to {classes - 1} (the output layer has {classes} units), "
            f"got {least:g} to {most:g}{'; pass Y - 1' if (least, most) == (1, classes) else ''}"
        )
    return np.asarray(labels[None, :] == np.arange(classes)[:, None], dtype=np.float64)
