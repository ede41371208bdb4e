"""Sparse matrices of SciPy, which stand still, times arrays that carry changes, and systems of equations with them.

``x @ A`` asks the array that carries changes. ``A @ x`` asks the matrix, which converts the array by numpy.asanyarray
and hands the product back to it where that gives an object without axes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import BuiltinMethodType, FrameType, MethodType
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


def solved(run: Any, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.sparse.linalg.spsolve, whose matrix stands still."""
    matrix, array, *rest = args
    if not is_sparse(matrix) or options or rest:
        raise NoRule("scipy.sparse.linalg.spsolve with options", "call it with a sparse matrix and a right-hand side")
    factors = sys.modules["scipy.sparse.linalg"].splu(matrix.tocsc())
    return _solution(run, array, lambda value: function(matrix, value), factors.solve)


def factorized(run: Any, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.sparse.linalg.splu, spilu and factorized."""
    made = function(*args, **options)
    return made if factors_of(made) is None else standing_in(made, lambda: run)


def factors_of(found: Any) -> Any:
    """Return an object that is a sparse matrix's factors, or solves with them, or what it stands in for; else None."""
    owner = found.__self__ if type(found) in (BuiltinMethodType, MethodType) else found
    if type(owner) is Factors:  # another thread is inside a run
        return owner.stands_for
    linear = sys.modules.get("scipy.sparse.linalg")
    return found if linear is not None and isinstance(owner, getattr(linear, "SuperLU", ())) else None


def standing_in(found: Any, running: Callable[[], Any]) -> Any:
    """Return what stands in for factors, or for their method that solves."""
    if type(found) is BuiltinMethodType:
        return Factors(found.__self__, running, found).solve
    return Factors(found, running, found)


class Factors:
    """Stands in for a sparse matrix's factors, whose method takes plain arrays alone.

    Parameters
    ----------
    original : what SciPy makes.
    running : gives the run that this thread is inside of, None where there is none.
    stands_for : what it, or its method, stands for.
    """

    def __init__(self, original: Any, running: Callable[[], Any], stands_for: Any) -> None:
        self._original, self._running, self.stands_for = original, running, stands_for

    def solve(self, rhs: Any, trans: str = "N") -> Any:
        """Return the solution for a right-hand side."""
        run = self._running()
        if run is None or type(rhs) is not run.array_type:
            return self._original.solve(rhs, trans)

        def plain(value: Any) -> Any:
            return self._original.solve(value, trans)

        return _solution(run, rhs, plain, plain)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _solution(run: Any, array: Any, plain: Callable[[Any], Any], linear: Callable[[Any], Any]) -> Any:
    """Return the solution for an array that carries changes, and for its changes side by side."""
    out, change = plain(array.value), array.change
    if change is None:
        return run.fresh(out)
    columns = np.moveaxis(change, 0, -1)
    found = linear(np.ascontiguousarray(columns.reshape(len(columns), -1))).reshape(columns.shape)
    return run.fresh(out, np.ascontiguousarray(np.moveaxis(found, -1, 0)).reshape(len(change), *out.shape))
