"""The frozen reference that every benchmark of the gate is timed against: plain NumPy, in several mixtures.

FROZEN: a change of this file changes its digest, and every committed baseline is void until measured again.

A machine that is busy, hot or throttled slows calls, arithmetic and memory differently; a subject is compared with
the mixture nearest to what it does itself, so that the machine's state cancels in the ratio.  Each mixture is one
function of a fixed amount of work, a millisecond or two; nothing here imports fastcheck.  Arrays that are to stay in
the cache are small, for which pages a process is given decides how well larger ones do.
"""

from collections.abc import Callable

import numpy as np

_rng = np.random.default_rng(20261123)
_weights = [_rng.standard_normal(shape) for shape in ((5, 4), (3, 5), (1, 3))]
_biases = [_rng.standard_normal((len(W), 1)) for W in _weights]
_inputs = _rng.standard_normal((4, 3))
_square = _rng.standard_normal((96, 96))
_flat = _rng.standard_normal(4096)
_result = np.empty_like(_flat)
_matrix = _rng.standard_normal((6, 6))
_vector = _rng.standard_normal(12)
_long = [np.full(1 << 20, 1.0), np.full(1 << 20, 2.0)]


def calls() -> None:
    """Small arrays, where Python and NumPy's overhead is all: forward propagation of a 4-5-3-1 network."""
    for _ in range(16):
        theta = np.concatenate([part.ravel() for layer in zip(_weights, _biases, strict=True) for part in layer])
        a, start = _inputs, 0
        for W, b in zip(_weights, _biases, strict=True):
            z = theta[start : start + W.size].reshape(W.shape) @ a + b
            a = np.maximum(z, 0.0)
            start += W.size + b.size
        float(np.sum(np.log1p(np.exp(-z))) / 3.0)


def wide() -> None:
    """Many different functions, whose code takes more room than a core's first caches have, as that of a check does."""
    for _ in range(2):
        np.linalg.norm(_matrix)
        np.linalg.qr(_matrix)
        np.linalg.svd(_matrix)
        np.linalg.solve(_matrix, _matrix)
        np.fft.fft(_vector)
        np.pad(_matrix, 1)
        np.tensordot(_matrix, _matrix, 1)
        np.einsum("ij,jk->ik", _matrix, _matrix)
        np.kron(_matrix, _matrix)
        np.block([[_matrix, _matrix], [_matrix, _matrix]])
        np.cov(_matrix)
        np.median(_matrix, axis=0)
        np.quantile(_vector, 0.3)
        np.histogram(_vector, 4)
        np.interp(_vector, _vector[:3], _vector[:3])
        np.polyfit(_vector, _vector, 1)
        np.convolve(_vector, _vector)
        np.argsort(_vector)
        np.unique(_vector)
        np.searchsorted(_vector, 0.1)
        np.cumsum(_matrix, axis=1)
        np.where(_matrix > 0.0, _matrix, 0.0)
        np.nan_to_num(_matrix)
        np.allclose(_matrix, _matrix)
        np.roll(_vector, 2)
        np.split(_vector, 3)
        np.random.default_rng(0).standard_normal(4)
        np.array2string(_vector)


def products() -> None:
    """Matrix products within the cache."""
    for _ in range(16):
        _square @ _square


def elements() -> None:
    """Element-wise arithmetic within the cache: divisions, an exponential, a comparison."""
    for _ in range(16):
        np.exp(_flat, out=_result)
        np.add(_result, 1.0, out=_result)
        np.divide(_flat, _result, out=_result)
        np.maximum(_result, _flat, out=_result)
        float(_result @ _flat)


def memory() -> None:
    """Streams through arrays larger than a core's own cache."""
    np.add(_long[0], 1.0, out=_long[1])


def mixed() -> None:
    """Something of each, as a whole check does."""
    calls()
    wide()
    products()
    elements()
    memory()


MIXTURES: dict[str, Callable[[], None]] = {f.__name__: f for f in (calls, wide, products, elements, memory, mixed)}
