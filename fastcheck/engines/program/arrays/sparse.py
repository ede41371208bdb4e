"""Sparse matrices of SciPy, which stand still, times arrays that carry changes.

``x @ A`` asks the array that carries changes. ``A @ x`` asks the matrix, which converts the array by numpy.asanyarray
and hands the product back to it where that gives an object without axes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from .storage import Change

# The functions of scipy.sparse that return NotImplemented for an operand that becomes an object without axes.
_ASKING = ("_matmul_dispatch",)


def is_sparse(operand: Any) -> bool:
    """Tell whether an operand is one of SciPy's sparse matrices or arrays."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(operand))


def hands_back(frame: FrameType) -> bool:
    """Whether `frame` is a sparse matrix that would hand its product to an operand that is an object without axes."""
    return frame.f_code.co_name in _ASKING and str(frame.f_globals.get("__name__", "")).startswith("scipy.sparse.")


def boxed(operand: Any) -> NDArray[Any]:
    """Return an array of objects without axes that holds `operand`."""
    box = np.empty((), dtype=object)
    box[()] = operand
    return box


def product(run: Any, name: str, plain: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
    """``A @ x`` and ``x @ A``; ``A * x`` and ``x * A`` of sparse matrices, which mean the same.

    Parameters
    ----------
    run : the run that ``x`` belongs to.
    name : "matmul" or "multiply".
    plain : the operator.
    operands : one sparse matrix, and one array that carries changes.

    Raises
    ------
    NoRule : for anything else, such as products of sparse *arrays* entry by entry.
    """
    left, right = operands
    first = is_sparse(left)
    matrix, array = (left, right) if first else (right, left)
    out = plain(matrix, array.value) if first else plain(array.value, matrix)
    change = array.change
    if change is None:
        return run.fresh(out)
    matrices = sys.modules["scipy.sparse"].spmatrix
    if change.ndim > 3 or (name != "matmul" and not isinstance(matrix, matrices)):
        raise NoRule(f"{name} of a {type(matrix).__name__} and an array that moves", "use dense arrays")
    if first:
        found = _after(matrix, change)
    else:
        # x @ A is the transpose of A' @ x'
        found = _after(matrix.T, change.swapaxes(1, -1)).swapaxes(1, -1)
    return run.fresh(out, np.ascontiguousarray(found))


def _after(matrix: Any, change: Change) -> Change:
    """Return the product of a sparse matrix and each of a batch of vectors or matrices."""
    columns = np.moveaxis(change, 0, -1)
    found: Change = matrix @ columns.reshape(len(columns), -1)
    return np.moveaxis(found.reshape(matrix.shape[0], *columns.shape[1:]), -1, 0)
