"""Functions of matrices, by what they are defined as in others (see ``composed``)."""

from typing import Any

import numpy as np

from ...._errors import NoRule


def solve_as(a: Any, b: Any, lower: bool = False, *, assume_a: str | None = None, transposed: bool = False,
             **checks: Any) -> Any:
    """scipy.linalg.solve, which looks at one triangle of what it is told is symmetric."""
    if assume_a in ("sym", "her", "pos", "positive definite", "symmetric", "hermitian"):
        a = np.tril(a) + np.tril(a, -1).T if lower else np.triu(a) + np.triu(a, 1).T
    elif assume_a not in (None, "gen", "general"):
        raise NoRule(f"scipy.linalg.solve with assume_a={assume_a!r}", "leave the option out")
    return np.linalg.solve(a.T if transposed else a, b)


def condition(x: Any, p: Any = None) -> Any:
    """numpy.linalg.cond."""
    if p in (None, 2, -2):
        sizes = np.linalg.svdvals(x)
        return sizes[..., -1] / sizes[..., 0] if p == -2 else sizes[..., 0] / sizes[..., -1]
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(np.linalg.inv(x), p, axis=(-2, -1))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """numpy.linalg.matrix_norm."""
    return np.linalg.norm(x, ord, axis=(-2, -1), keepdims=keepdims)


def tensor_solution(a: Any, b: Any, axes: Any = None) -> Any:
    """numpy.linalg.tensorsolve."""
    if axes is not None:
        raise NoRule("numpy.linalg.tensorsolve with axes=", "move the axes first")
    shape = np.shape(a)[np.ndim(b):]
    return np.reshape(np.linalg.solve(np.reshape(a, (np.size(b), -1)), np.reshape(b, -1)), shape)


def tensor_inverse(a: Any, ind: int = 2) -> Any:
    """numpy.linalg.tensorinv."""
    shape = np.shape(a)
    rows = int(np.prod(shape[:ind]))
    return np.reshape(np.linalg.inv(np.reshape(a, (rows, -1))), shape[ind:] + shape[:ind])
