"""Mistakes in the line that makes one gradient from dZ: they spread nowhere."""

from collections.abc import Iterator

import numpy as np

from ...._types import Array
from .backward import Backward, Mistake, Signal


def mistaken_weights(b: Backward, k: int, signal: Signal) -> Iterator[Mistake]:
    """Yield what may stand for dW of layer k where dZ is right."""
    for words, inputs in mistaken_inputs(b, k, signal):
        yield Mistake(words, b.weights(k, signal.dZ, inputs))
    if b.m > 1:
        for words, kept in (("last", slice(None, -1)), ("first", slice(1, None))):
            yield Mistake(f"with the {words} sample dropped from dW{k}",
                          b.weights(k, signal.dZ[:, kept], b.A(k - 1)[:, kept]))
    for words, other in _other_signals(b, k, signal):
        yield Mistake(f"with {words} in dW{k}", b.weights(k, other))


def mistaken_inputs(b: Backward, k: int, signal: Signal) -> Iterator[tuple[str, Array]]:
    """Yield what may stand for the inputs of layer k in its dW: words, and values (units, m)."""
    a, right = _called(k - 1), b.A(k - 1)
    for j in range(b.depth + 1):
        if j != k - 1 and b.widths[j] == b.widths[k - 1]:
            yield f"with {_called(j)}, an a of the wrong layer, instead of {a} in dW{k}", b.A(j)
    if k > 1:
        slope = b.slope(k - 1)
        dA = b.W(k).T @ signal.dZ
        yield f"with z{k - 1}, not yet activated, instead of {a} in dW{k}", b.Z(k - 1)
        overwritten = f"with {a} overwritten in place before dW{k} has read it, "
        yield overwritten + "by a times the activation's derivative", right * slope
        yield overwritten + "by the activation's derivative", slope
        yield overwritten + f"by dA{k - 1}", dA
        yield overwritten + f"by dZ{k - 1}", dA * slope
    if b.m > 1:
        for step in (1, -1):
            words = f"with the batch order of {a} and dZ{k} mismatched (rolled by {step} sample) in dW{k}"
            yield words, np.roll(right, step, axis=1)
    if b.m > 2:
        yield f"with the batch order of {a} and dZ{k} mismatched (reversed) in dW{k}", right[:, ::-1]


def mistaken_biases(b: Backward, k: int, signal: Signal) -> Iterator[Mistake]:
    """Yield what may stand for db of layer k where dZ is right."""
    dZ = signal.dZ
    if dZ.shape[0] == dZ.shape[1] > 1:
        yield Mistake(f"with db{k} summed over the wrong axis, units instead of samples", dZ.sum(axis=0)[:, None])
    if dZ.shape[1] > 1:
        yield Mistake(f"with the last sample dropped from db{k}", b.biases(dZ[:, :-1]))
        yield Mistake(f"with the first sample dropped from db{k}", b.biases(dZ[:, 1:]))
        yield Mistake(f"with db{k} of the last sample alone, not summed over samples", dZ[:, -1:])
        yield Mistake(f"with db{k} of the first sample alone, not summed over samples", dZ[:, :1])
    for words, other in _other_signals(b, k, signal):
        yield Mistake(f"with {words} in db{k}", b.biases(other))
    yield Mistake(f"with the magnitudes of dZ{k} summed in db{k}", b.biases(np.abs(dZ)))


def _other_signals(b: Backward, k: int, signal: Signal) -> Iterator[tuple[str, Array]]:
    """Yield what may stand for dZ of layer k in one gradient alone."""
    if signal.dA is not None:
        yield f"dA{k} instead of dZ{k} (the derivative is missing)", signal.dA
    if signal.behind is not None and b.widths[k] == b.widths[k + 1]:
        yield f"dZ{k + 1} instead of dZ{k}", signal.behind.dZ
    if k > 1 and b.widths[k - 1] == b.widths[k]:
        yield f"dZ{k - 1} instead of dZ{k}", b.passed_back(k - 1, signal).dZ


def _called(layer: int) -> str:
    return "X" if layer == 0 else f"a{layer}"
