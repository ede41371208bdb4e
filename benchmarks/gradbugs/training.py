"""A small classifier over batches of sequences of unequal lengths, whose gradients training loops put together."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .making import softmax
from .subjects import Cost

Batch = tuple[Any, Any]


def batches(lengths: Sequence[int] = (3, 9, 5), seed: int = 50) -> list[Batch]:
    """Inputs (tokens, 4) and labels (tokens,) of each micro-batch."""
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((length, 4)), rng.integers(0, 3, length)) for length in lengths]


def summed_loss(p: dict[str, Any], batch: Batch) -> float:
    """The cross-entropy of a batch, summed over its tokens."""
    X, y = batch
    return float(-np.log(softmax(np.tanh(X @ p["W1"]) @ p["W2"])[np.arange(len(y)), y]).sum())


def summed_gradients(p: dict[str, Any], batch: Batch) -> dict[str, Any]:
    """Its gradients."""
    X, y = batch
    h = np.tanh(X @ p["W1"])
    d = softmax(h @ p["W2"]) - np.eye(3)[y]
    return {"W1": X.T @ (d @ p["W2"].T * (1 - h**2)), "W2": h.T @ d}


def parameters() -> dict[str, Any]:
    """The weights."""
    rng = np.random.default_rng(51)
    return {"W1": rng.standard_normal((4, 5)), "W2": rng.standard_normal((5, 3))}


def mean_over_tokens(combine: Callable[[list[dict[str, Any]], list[Batch]], dict[str, Any]]) -> Cost:
    """The mean loss over the tokens of all batches, with gradients as a training loop combines them.

    Parameters
    ----------
    combine : combine(summed gradients of each batch, batches) -> the gradients that the optimizer gets.
    """
    data = batches()
    tokens = sum(len(y) for _, y in data)

    def each(p: dict[str, Any]) -> list[dict[str, Any]]:
        return [summed_gradients(p, batch) for batch in data]

    return Cost(
        lambda p: sum(summed_loss(p, batch) for batch in data) / tokens,
        lambda p: {name: sum(g[name] for g in each(p)) / tokens for name in p},
        lambda p: combine(each(p), data), parameters,
    )
