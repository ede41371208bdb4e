"""What the rules that mix elements stand for, on arrays of mpmath numbers, and where they are tried."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import numpy as np


@dataclass(frozen=True)
class ArrayReference:
    """An operation on object arrays of mpmath numbers.

    ``points`` are tuples of operands.  ``largest`` bounds the changes that keep it in its domain; ``amplification``
    is what the operands' rounding is multiplied by (a condition number); ``terms``, of values and changes, is the size
    of what is summed where that is more than the entries' own changes.
    """

    function: Callable[..., Any]
    points: tuple[tuple[np.ndarray, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)
    largest: float = 20.0
    amplification: float = 1.0
    digits: int = 60
    terms: Callable[..., Any] | None = None

    @property
    def normwise(self) -> bool:
        """Whether an entry's error is relative to the largest entry: so it is where systems are solved."""
        return self.amplification > 1.0


exp = np.frompyfunc(mp.exp, 1, 1)
log = np.frompyfunc(mp.log, 1, 1)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


FLAT = (
    (np.array([0.3, -1.2, 2.5, 0.7]),),
    (np.array([1.5, 1.5, -1.0, 1.5]),),
    (np.array([0.0, 2.0, 0.0, -3.0]),),
    (np.array([1e8, 1e8 + 1.0, 1e8 - 1.0, 1e8]),),
)
TALL = ((rng(1).normal(size=(3, 2)),), (np.array([[1.0, 0.0], [1.0, -2.0], [0.5, 0.0]]),))
LOGITS = (
    (np.array([0.3, -1.2, 2.5, 0.7]),),
    (np.array([40.0, 0.0, -5.0, 1.0]),),
    (np.array([-700.0, 0.0, 30.0, 30.0]),),
    (np.array([1e5, 1e5 + 0.5, 1e5 - 2.0, 1e5]),),
)
MATRIX = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.6], [-0.7, 0.2, 1.8]])
TALL_MATRIX = rng(5).normal(size=(4, 3))
RANK_ONE = np.outer([1.0, 2.0, -1.0], [3.0, 0.5])
SPREAD = MATRIX @ MATRIX.T + np.eye(3)
LARGER = rng(3).normal(size=(6, 6)) + 4.0 * np.eye(6)
SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.5, -1.0, 2.0]])


def lse(x: Any, axis: int = -1, keepdims: bool = True) -> Any:
    return log(np.sum(exp(x), axis=axis, keepdims=keepdims))


def variance(x: Any, ddof: int = 0, axis: Any = None) -> Any:
    count = x.size if axis is None else x.shape[axis]
    centred = x - np.sum(x, axis=axis, keepdims=True) / count
    return np.sum(centred**2, axis=axis) / (count - ddof)


root = np.frompyfunc(mp.sqrt, 1, 1)


def argmax(x: Any) -> Any:
    return np.asarray(mp.mpf(max(range(len(x)), key=lambda k: (x[k], -k))), dtype=object)


def matrix(x: Any) -> Any:
    return mp.matrix(x.tolist())


def from_matrix(m: Any) -> Any:
    return np.array(m.tolist(), dtype=object)


def pinv(a: Any) -> Any:
    m = matrix(a)
    return from_matrix((m.T * m) ** -1 * m.T)


def norm(p: Any) -> Callable[[Any], Any]:
    if p == mp.inf:
        return lambda x: np.asarray(max(abs(x).ravel()), dtype=object)
    return lambda x: np.asarray(mp.fsum(abs(v) ** mp.mpf(p) for v in x.ravel()) ** (1 / mp.mpf(p)), dtype=object)


def spread_terms(values: Any, changes: Any) -> Any:
    """What a variance sums, elements times their changes, both centred."""
    (x,), (d,) = values, changes
    c, dc = x - np.mean(x), d - np.mean(d)
    return np.sum(abs(dc) * (2.0 * abs(c) + abs(dc)))


def deviation_terms(values: Any, changes: Any) -> Any:
    return spread_terms(values, changes) / max(np.std(values[0]), 1e-300)


def lower(a: Any) -> Any:
    return np.tril(np.ones(a.shape, dtype=int)) * a


def symmetric(a: Any) -> Any:
    below = np.tril(np.ones(a.shape, dtype=int), -1) * a
    return lower(a) + below.T


def slogdet(a: Any) -> Any:
    d = mp.det(matrix(a))
    return np.array([mp.sign(d), mp.log(abs(d))], dtype=object)


def eigenvalues(a: Any) -> Any:
    return np.array(list(mp.eigsy(matrix(symmetric(a)), eigvals_only=True)), dtype=object)


def eigenvectors(a: Any) -> Any:
    """Signed like NumPy's at SPREAD, whose largest components are theirs."""
    w, v = mp.eigsy(matrix(symmetric(a)))
    v = from_matrix(v)
    old = np.linalg.eigh(SPREAD)[1]
    return np.concatenate((np.array(list(w), dtype=object)[None], v * np.sign(np.sum(v.astype(float) * old, axis=0))))


def singular_values(a: Any) -> Any:
    """In descending order; of wide matrices, those of the transposed."""
    m = matrix(a if a.shape[0] >= a.shape[1] else a.T)
    return np.array(list(mp.svd_r(m, compute_uv=False)), dtype=object)


def singular_vectors(a: Any) -> Any:
    """U, S and V side by side, signed like NumPy's at TALL_MATRIX."""
    u, s, vh = (from_matrix(x) for x in mp.svd_r(matrix(a)))
    signs = np.sign(np.sum(u.astype(float) * np.linalg.svd(TALL_MATRIX, full_matrices=False)[0], axis=0))
    return np.concatenate((u * signs, s.reshape(1, -1), (vh * signs[:, None]).T))


def triangular_factors(a: Any) -> Any:
    """L below its diagonal of ones, and U, by elimination without exchanging rows."""
    packed = a.copy()
    for k in range(min(a.shape)):
        packed[k + 1 :, k] = packed[k + 1 :, k] / packed[k, k]
        packed[k + 1 :, k + 1 :] = packed[k + 1 :, k + 1 :] - packed[k + 1 :, k, None] * packed[k, k + 1 :]
    return packed


def orthogonal_factors(a: Any) -> Any:
    """Q above R, signed like NumPy's at TALL_MATRIX."""
    signs = np.sign(np.diagonal(np.linalg.qr(TALL_MATRIX)[1]))
    upper = from_matrix(mp.cholesky(matrix(a.T @ a))).T
    return np.concatenate((from_matrix(matrix(a) * matrix(upper) ** -1) * signs, upper * signs[:, None]))


def median(x: Any) -> Any:
    ranked = np.sort(x, axis=None)
    n = len(ranked)
    return np.asarray((ranked[(n - 1) // 2] + ranked[n // 2]) / 2, dtype=object)


def quantile(x: Any) -> Any:
    ranked = np.sort(x, axis=None)
    place = mp.mpf(0.3) * (len(ranked) - 1)
    k = int(place)
    return np.asarray(ranked[k] + (place - k) * (ranked[k + 1] - ranked[k]), dtype=object)


def scalar(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: np.asarray(function(x), dtype=object)


LAST: dict[str, Any] = {"axes": (-1,)}
BOTH: dict[str, Any] = {"axes": (-2, -1)}
FIRST: dict[str, Any] = {"axes": (-2,)}

ARRAY_REFERENCES: dict[str, tuple[ArrayReference, ...]] = {
    "max": (
        ArrayReference(scalar(np.max), FLAT, LAST),
        ArrayReference(scalar(np.max), TALL, BOTH),
        ArrayReference(lambda x: np.max(x, axis=0, keepdims=True), TALL, {**FIRST, "keepdims": True}),
    ),
    "amax": (ArrayReference(scalar(np.max), TALL, {"axes": (-1, -2)}),),
    "min": (ArrayReference(scalar(np.min), FLAT, LAST), ArrayReference(lambda x: np.min(x, axis=0), TALL, FIRST)),
    "amin": (ArrayReference(scalar(np.min), TALL, BOTH),),
    "ptp": (ArrayReference(lambda x: np.max(x, axis=0) - np.min(x, axis=0), TALL, FIRST),),
    "argmax": (ArrayReference(argmax, FLAT, LAST),),
    "argmin": (ArrayReference(lambda x: argmax(-x), FLAT, LAST),),
    "prod": (
        ArrayReference(scalar(np.prod), FLAT[:3], LAST),
        ArrayReference(lambda x: np.prod(x, axis=0), TALL, FIRST),
        ArrayReference(scalar(np.prod), TALL, BOTH),
    ),
    "cumprod": (
        ArrayReference(np.cumprod, FLAT[:3], LAST),
        ArrayReference(lambda x: np.cumprod(x, axis=0), TALL, FIRST),
    ),
    "var": (
        ArrayReference(variance, FLAT, LAST, terms=spread_terms),
        ArrayReference(lambda x: variance(x, 1), TALL, {**BOTH, "ddof": 1}),
        ArrayReference(lambda x: variance(x, 0, 0), TALL, FIRST),
        ArrayReference(variance, ((np.full(3, 2.5),),), LAST),
    ),
    "std": (
        ArrayReference(lambda x: root(variance(x)), FLAT, LAST, terms=deviation_terms),
        ArrayReference(lambda x: root(variance(x, 1, 0))[None], TALL, {**FIRST, "ddof": 1, "keepdims": True}),
        ArrayReference(lambda x: root(variance(x)), ((np.full(3, 2.5),),), LAST),
    ),
    "norm": (
        ArrayReference(norm(2), FLAT, LAST),
        ArrayReference(norm(2), TALL, BOTH),
        ArrayReference(norm(2), ((np.zeros(3),),), LAST),
        ArrayReference(norm(1), FLAT, {**LAST, "ord": 1}),
        ArrayReference(norm(mp.inf), FLAT, {**LAST, "ord": math.inf}),
        ArrayReference(lambda x: np.min(abs(x), axis=0), TALL, {**FIRST, "ord": -math.inf}),
        ArrayReference(norm(3), FLAT, {**LAST, "ord": 3.0}),
        ArrayReference(norm(mp.mpf(1.5)), FLAT[:1], {**LAST, "ord": 1.5}),
    ),
    "any": (ArrayReference(scalar(lambda x: mp.mpf(int(any(v != 0 for v in x)))), FLAT, LAST),),
    "all": (ArrayReference(scalar(lambda x: mp.mpf(int(all(v != 0 for v in x)))), FLAT, LAST),),
    "count_nonzero": (ArrayReference(scalar(lambda x: mp.mpf(sum(v != 0 for v in x))), FLAT, LAST),),
    "logsumexp": (
        ArrayReference(lambda x: lse(x)[..., 0], LOGITS, LAST, digits=400),
        ArrayReference(lambda x: lse(x.ravel())[..., 0], TALL, BOTH),
    ),
    "log_softmax": (
        ArrayReference(lambda x: x - lse(x), LOGITS, LAST, digits=400),
        ArrayReference(lambda x: x - lse(x, 0), TALL, FIRST),
        ArrayReference(lambda x: x - lse(x.ravel()), TALL, BOTH),
    ),
    "softmax": (
        ArrayReference(lambda x: exp(x - lse(x)), LOGITS, LAST, digits=400),
        ArrayReference(lambda x: exp(x - lse(x, 0)), TALL, FIRST),
        ArrayReference(lambda x: exp(x - lse(x.ravel())), TALL, BOTH),
    ),
    "sort": (ArrayReference(np.sort, FLAT, LAST), ArrayReference(lambda x: np.sort(x, axis=0), TALL, FIRST)),
    "argsort": (
        ArrayReference(lambda x: np.array(sorted(range(len(x)), key=lambda k: (x[k], k)), dtype=object), FLAT, LAST),
    ),
    "median": (ArrayReference(median, FLAT, LAST), ArrayReference(median, TALL, BOTH)),
    "quantile": (ArrayReference(quantile, FLAT, {**LAST, "q": 0.3}),),
    "glu": (
        ArrayReference(lambda x: x[:2] / (1 + exp(-x[2:])), FLAT[:3], LAST),
        ArrayReference(lambda x: x[:2] / (1 + exp(-x[2:])), ((rng(2).normal(size=(4, 3)),),), FIRST),
    ),
    "inv": (ArrayReference(lambda a: from_matrix(matrix(a) ** -1), ((MATRIX,),), {}, 0.1, 20.0),),
    "solve": (
        ArrayReference(
            lambda a, b: from_matrix(matrix(a) ** -1 * matrix(b)),
            ((MATRIX, rng(4).normal(size=(3, 2))),), {}, 0.1, 20.0,
        ),
        ArrayReference(
            lambda a, b: from_matrix(matrix(a) ** -1 * matrix(b[:, None]))[:, 0], ((MATRIX, np.ones(3)),), {}, 0.1, 20.0
        ),
    ),
    "solve_triangular": (
        ArrayReference(
            lambda a, b: from_matrix(matrix(lower(a)) ** -1 * matrix(b[:, None]))[:, 0],
            ((MATRIX, np.array([1.0, 2.0, -1.0])),), {"lower": True}, 0.1, 20.0,
        ),
        ArrayReference(
            lambda a, b: from_matrix(matrix(lower(a.T).T).T ** -1 * matrix(b)),
            ((MATRIX, np.eye(3)),), {"transpose": True}, 0.1, 20.0,
        ),
    ),
    "det": (
        ArrayReference(lambda a: np.asarray(mp.det(matrix(a)), dtype=object), ((MATRIX,), (SINGULAR,)), {}, 1.0, 5.0),
        ArrayReference(lambda a: np.asarray(mp.det(matrix(a)), dtype=object), ((LARGER,),), {}, 0.1, 20.0),
    ),
    "slogdet": (
        ArrayReference(slogdet, ((MATRIX,), (-MATRIX,)), {}, 0.1, 20.0),
        ArrayReference(slogdet, ((LARGER,),), {}, 0.1, 20.0),
    ),
    "cholesky": (
        ArrayReference(lambda a: from_matrix(mp.cholesky(matrix(symmetric(a)))), ((SPREAD,),), {}, 0.1, 20.0),
        ArrayReference(
            lambda a: from_matrix(mp.cholesky(matrix(symmetric(a.T)))).T, ((SPREAD,),), {"upper": True}, 0.1, 20.0
        ),
    ),
    "lu": (
        ArrayReference(
            triangular_factors, ((MATRIX,), (SPREAD,), (TALL_MATRIX,), (TALL_MATRIX.T,)), {}, 1e-2, 50.0, 40
        ),
    ),
    "qr": (ArrayReference(orthogonal_factors, ((TALL_MATRIX,),), {}, 1e-2, 50.0, 40),),
    "matrix_power": (
        ArrayReference(lambda a: from_matrix(matrix(a) ** 3), ((MATRIX,), (SINGULAR,)), {"n": 3}, 1.0, 5.0),
        ArrayReference(lambda a: from_matrix(matrix(a) ** -2), ((MATRIX,),), {"n": -2}, 0.1, 50.0),
        ArrayReference(lambda a: a * mp.mpf(0), ((MATRIX,),), {"n": 0}),
    ),
    "expm": (ArrayReference(lambda a: from_matrix(mp.expm(matrix(a))), ((MATRIX[:2, :2],),), {}, 1.0, 20.0, 40),),
    "eigh": (ArrayReference(eigenvectors, ((SPREAD,),), {}, 0.1, 20.0, 40),),
    "eigvalsh": (
        ArrayReference(eigenvalues, ((SPREAD,), (np.diag([1.0, 2.0, 1.0]),), (np.ones((4, 4)),)), {}, 1.0, 20.0, 40),
    ),
    "svd": (ArrayReference(singular_vectors, ((TALL_MATRIX,),), {}, 0.1, 20.0, 40),),
    "svdvals": (
        ArrayReference(
            singular_values, ((TALL_MATRIX,), (TALL_MATRIX.T,), (MATRIX,), (RANK_ONE,), (np.eye(3),)), {}, 1.0, 20.0, 40
        ),
    ),
    "matrix_norm": (
        ArrayReference(lambda a: singular_values(a)[0], ((MATRIX,), (TALL_MATRIX,)), {}, 1.0, 20.0, 40),
        ArrayReference(lambda a: singular_values(a)[-1], ((TALL_MATRIX,),), {"ord": -2}, 1.0, 20.0),
        ArrayReference(lambda a: np.sum(singular_values(a)), ((MATRIX,),), {"ord": "nuc"}, 1.0, 20.0),
        ArrayReference(
            lambda a: np.max(np.sum(abs(a), axis=0)), ((SINGULAR,), (np.ones((2, 2)),)), {"ord": 1}, 1.0, 5.0
        ),
        ArrayReference(lambda a: np.min(np.sum(abs(a), axis=0)), ((SINGULAR,),), {"ord": -1}, 1.0, 5.0),
        ArrayReference(
            lambda a: np.reshape(np.max(np.sum(abs(a), axis=1)), (1, 1)), ((SINGULAR,),),
            {"ord": math.inf, "keepdims": True, "axes": (-2, -1)}, 1.0, 5.0,
        ),
    ),
    "pinv": (
        ArrayReference(pinv, ((MATRIX[:, :2],), (MATRIX,)), {}, 0.1, 50.0),
        ArrayReference(lambda a: pinv(a.T).T, ((MATRIX[:2],),), {}, 0.1, 50.0),
    ),
}  # fmt: skip
