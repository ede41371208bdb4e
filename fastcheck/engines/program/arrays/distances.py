"""scipy.spatial.distance: distances of vectors, by what they are defined as (see ``composed``)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._errors import NoRule

# A distance of vectors along the last axis.
Distance = Callable[..., Any]


def squared(u: Any, v: Any) -> Any:
    """Return the squared Euclidean distance."""
    return np.sum((u - v) * (u - v), axis=-1)


def euclidean(u: Any, v: Any) -> Any:
    """Return the length of the difference."""
    return np.linalg.norm(u - v, axis=-1)


def cityblock(u: Any, v: Any) -> Any:
    """Return the sum of the differences' sizes."""
    return np.sum(np.abs(u - v), axis=-1)


def chebyshev(u: Any, v: Any) -> Any:
    """Return the largest difference."""
    return np.max(np.abs(u - v), axis=-1)


def minkowski(u: Any, v: Any, p: float = 2) -> Any:
    """Return the p-norm of the difference."""
    return np.sum(np.abs(u - v) ** p, axis=-1) ** (1.0 / p)


def cosine(u: Any, v: Any) -> Any:
    """Return one less the cosine of the angle."""
    return 1.0 - np.sum(u * v, axis=-1) / (np.linalg.norm(u, axis=-1) * np.linalg.norm(v, axis=-1))


def correlation(u: Any, v: Any) -> Any:
    """Return one less the correlation."""
    return cosine(u - np.mean(u, axis=-1, keepdims=True), v - np.mean(v, axis=-1, keepdims=True))


def mahalanobis(u: Any, v: Any, VI: Any) -> Any:
    """Return the length of the difference in the metric of a matrix."""
    return np.sqrt(np.sum(np.matmul(u - v, VI) * (u - v), axis=-1))


OF_TWO: dict[str, Distance] = {
    "euclidean": euclidean, "sqeuclidean": squared, "cityblock": cityblock, "chebyshev": chebyshev,
    "minkowski": minkowski, "cosine": cosine, "correlation": correlation, "mahalanobis": mahalanobis,
}  # fmt: skip


def of_vectors(name: str) -> Distance:
    """Return the definition of a distance of two vectors."""
    def definition(u: Any, v: Any, *further: Any, **options: Any) -> Any:
        if options.pop("w", None) is not None:
            raise NoRule(f"scipy.spatial.distance.{name} with w=", "multiply by the weights' roots first")
        return OF_TWO[name](u, v, *further, **options)

    return definition


def between(XA: Any, XB: Any, metric: Any = "euclidean", **options: Any) -> Any:
    """scipy.spatial.distance.cdist."""
    return _by_name(metric, options)(XA[:, None, :], XB[None, :, :], **options)


def within(X: Any, metric: Any = "euclidean", **options: Any) -> Any:
    """scipy.spatial.distance.pdist."""
    rows, columns = np.triu_indices(len(X), 1)
    return _by_name(metric, options)(X[rows], X[columns], **options)


def _by_name(metric: Any, options: dict[str, Any]) -> Distance:
    if metric not in OF_TWO or set(options) - {"p", "VI"}:
        raise NoRule("scipy.spatial.distance of this metric, or with these options", "write the distance with NumPy")
    if metric == "mahalanobis" and "VI" not in options:
        raise NoRule("scipy.spatial.distance with metric='mahalanobis' and no VI=", "pass the matrix")
    return OF_TWO[metric]


def square_form(X: Any, force: str = "no", checks: bool = True) -> Any:
    """scipy.spatial.distance.squareform."""
    if np.ndim(X) == 2:
        return X[np.triu_indices(len(X), 1)]
    size = round((1.0 + np.sqrt(1.0 + 8.0 * len(X))) / 2.0)
    places = np.zeros((size, size), dtype=np.intp)
    places[np.triu_indices(size, 1)] = np.arange(1, len(X) + 1)
    return np.concatenate([np.zeros(1), X])[places + places.T]
