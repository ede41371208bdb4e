"""numpy.linalg and scipy.linalg: by rules on the last two axes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...._errors import NoRule
from ...._types import Indices
from .array import DifferenceArray
from .elementwise import split
from .rearranging import still_value
from .reductions import change_by_rule, negative_axes
from .run import Handler, Run
from .storage import Change


def by_rule(name: str, operands: int, *options_of_rule: str) -> Handler:
    """Return the handler of a function of one or two (stacks of) matrices with a rule of that name.

    Parameters
    ----------
    name : of the rule.
    operands : number of operands.
    options_of_rule : names of the parameters behind the operands that the rule takes.
    """

    def handler(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        named = dict(options)
        for parameter in ("a", "b")[len(args) : operands]:
            args = (*args, named.pop(parameter))
        arrays = tuple(run.tables.gathered_in(run, arg) for arg in args[:operands])
        rest = [still_value(arg) for arg in args[operands:]]
        named = {key: still_value(option) for key, option in named.items()}
        values, changes, moving = split(run, arrays)
        out = function(*values, *rest, **named)
        if not moving:
            return _results(run, out, [None] * len(out) if isinstance(out, tuple) else None)
        given = {**dict(zip(options_of_rule, rest, strict=False)), **named}
        if set(given) - set(options_of_rule):
            raise NoRule(f"numpy.linalg.{name} with {', '.join(given)}", "leave these options out")
        values = [np.asarray(value, dtype=np.result_type(value, float)) for value in values]
        values, changes = _lifted(values, changes)
        if isinstance(out, tuple):
            rule = run.tables.rules[name]
            return _results(run, out, list(rule.change(np, tuple(values), tuple(changes), out, run.at(name), **given)))
        return run.fresh(out, change_by_rule(run, name, tuple(values), tuple(changes), out, **given))

    return handler


def _results(run: Run, out: Any, changes: Any) -> Any:
    if not isinstance(out, tuple):
        return run.fresh(out, changes)
    parts = []
    for part, change in zip(out, changes, strict=True):
        still = change is None or not np.any(change)
        parts.append(run.fresh(part, None if still else np.array(np.broadcast_to(change, (run.batch, *part.shape)))))
    return type(out)(*parts) if hasattr(out, "_fields") else tuple(parts)


def _lifted(values: list[Any], changes: list[Change | None]) -> tuple[list[Any], list[Change | None]]:
    """Changes with axes behind the batch axis, so that stacks of different depth broadcast."""
    depth = max(value.ndim for value in values)
    lifted = []
    for value, change in zip(values, changes, strict=True):
        if change is None or value.ndim == depth or value.ndim < 2:
            lifted.append(change)
        else:
            lifted.append(change.reshape(change.shape[:1] + (1,) * (depth - value.ndim) + change.shape[1:]))
    return values, lifted


def norm(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.linalg.norm."""
    named = dict(zip(("ord", "axis", "keepdims"), args[1:], strict=False)) | dict(options)
    array = run.tables.gathered_in(run, args[0] if args else named.pop("x"))
    out = function(array.value, **named)
    change = array.change
    if change is None:
        return run.fresh(out)
    order, axis = named.get("ord"), named.get("axis")
    axes = negative_axes(axis, array.ndim)
    matrix = len(axes) == 2 and not (axis is None and order is None)
    rule = "norm" if not matrix or order in (None, "fro", "f") else "matrix_norm"
    order = 2 if order in (None, "fro", "f") else order
    keepdims = bool(named.get("keepdims", False))
    if run.notes is not None and (rule, order) == ("norm", 2) and np.all((out > 0.0) & (out < np.inf)):
        slopes = array.value / np.linalg.norm(array.value, axis=None if axis is None else axes, keepdims=True)
        run.notes.reduction(run.count + 1, array, slopes, axes, np.size(out))
    return run.fresh(
        out, change_by_rule(run, rule, (array.value,), (change,), out, axes=axes, keepdims=keepdims, ord=order)
    )


def svd(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.linalg.svd: reduced, or of square matrices; or singular values alone."""
    named = dict(zip(("full_matrices", "compute_uv", "hermitian"), args[1:], strict=False)) | dict(options)
    array = run.tables.gathered_in(run, args[0] if args else named.pop("a"))
    out = function(array.value, **named)
    if not named.get("compute_uv", True):
        return by_rule("svdvals", 1)(run, lambda a: out, (array,), {})
    rows, columns = array.value.shape[-2:]
    if named.get("full_matrices", True) and rows != columns:
        raise NoRule("numpy.linalg.svd with full_matrices=True", "use full_matrices=False")
    return by_rule("svd", 1)(run, lambda a: out, (array,), {})


def qr(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.linalg.qr and scipy.linalg.qr of real matrices that are not wide: both factors, no larger than these."""
    array = run.tables.gathered_in(run, args[0] if args else options["a"])
    out = function(array.value, *args[1:], **options)
    if array.change is None:
        return _results(run, out, [None] * len(out)) if isinstance(out, tuple) else run.fresh(out)
    rows, columns = array.value.shape[-2:]
    if not isinstance(out, tuple) or len(out) != 2 or out[0].shape[-1] != columns or rows < columns:
        raise NoRule("a QR decomposition of other than two factors of the size of the matrix",
                     "use mode='reduced' ('economic' in SciPy), without pivoting, of a matrix that is not wide")
    return _results(run, out, list(run.tables.rules["qr"].change(np, (array.value,), (array.change,), out, None)))


def eigh(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.linalg.eigh: with its vectors, or its values alone."""
    named = dict(options)
    alone = named.pop("eigvals_only", False)
    if len(args) > 1 or named:
        raise NoRule("scipy.linalg.eigh with these options", "leave them out")
    if alone:
        return by_rule("eigvalsh", 1)(run, lambda a: function(a, eigvals_only=True), args, {})
    return by_rule("eigh", 1)(run, function, args, {})


def lu(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.linalg.lu: the exchange of rows stands still."""
    array = args[0]
    out = function(array.value, *args[1:], **options)
    if array.change is None:
        return _results(run, out, [None] * len(out))
    if options or len(args) > 1 or array.value.ndim != 2:
        raise NoRule("scipy.linalg.lu with options, or of several matrices", "leave the options out")
    change = _packed_change(run, array, np.argmax(out[0], axis=0))
    k = min(array.value.shape)
    return _results(run, out, [None, np.tril(change[..., :k], -1), np.triu(change[..., :k, :])])


def lu_factor(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.linalg.lu_factor of one matrix: both factors in one matrix."""
    array = args[0]
    packed, pivots = function(array.value, *args[1:], **options)
    if array.change is None:
        return run.fresh(packed), pivots
    return run.fresh(packed, _packed_change(run, array, _order(pivots))), pivots


def _packed_change(run: Run, array: Any, rows: Indices) -> Change:
    """Return the change of both factors, in one matrix, of a matrix whose rows were taken in that order."""
    change: Change = run.tables.rules["lu"].change(np, (array.value[rows],), (array.change[:, rows],), None, None)
    return change


def lu_solve(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.linalg.lu_solve: two triangular systems, one after the other."""
    (packed, pivots), right, *rest = args
    values, changes, moving = split(run, (packed, right))
    out = function((values[0], pivots), values[1], *rest, **options)
    if not moving:
        return run.fresh(out)
    if rest[:1] not in ([], [0]) or options.get("trans"):
        raise NoRule("scipy.linalg.lu_solve with trans=", "factor the transposed matrix")
    rows, (factors, moved) = _order(pivots), (values[0], changes[0])
    given = [_unit_lower(factors), values[1][rows]]
    how = [None if moved is None else np.tril(moved, -1), None if changes[1] is None else changes[1][:, rows]]
    first = _triangular(given, how, None, True, False, run)
    return run.fresh(out, _triangular([factors, first[0]], [moved, first[1]], out, False, False, run)[1])


def _order(pivots: Any) -> Indices:
    """Return the order of rows that exchanging each with its pivot's leads to."""
    rows = np.arange(len(pivots))
    for k, pivot in enumerate(pivots):
        rows[[k, pivot]] = rows[[pivot, k]]
    return rows


def _unit_lower(packed: Any) -> Any:
    return np.tril(packed, -1) + np.eye(len(packed))


def vector_norm(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.linalg.vector_norm."""
    (array,), named = args, dict(options)
    out = function(array.value, **named)
    change = array.change
    if change is None:
        return run.fresh(out)
    axes, keepdims = negative_axes(named.get("axis"), array.ndim), bool(named.get("keepdims", False))
    order = named.get("ord", 2)
    return run.fresh(
        out, change_by_rule(run, "norm", (array.value,), (change,), out, axes=axes, keepdims=keepdims, ord=order)
    )


def matrix_power(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.linalg.matrix_power."""
    array, n = (*args, *options.values())
    out = function(array.value, n)
    change = array.change
    return run.fresh(
        out, None if change is None else change_by_rule(run, "matrix_power", (array.value,), (change,), out, n=n)
    )


def least_squares(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.linalg.lstsq and scipy.linalg.lstsq of matrices of full rank: the pseudoinverse times the right side."""
    a, b = (run.tables.gathered_in(run, arg) for arg in args[:2])
    values, _, moving = split(run, (a, b))
    out = function(*values, *args[2:], **options)
    if not moving:
        return run.tables.carried(run, out)
    if out[2] < min(np.shape(values[0])):
        raise NoRule("a least-squares solution of a matrix of lower rank", "add a small multiple of the identity to it")
    with run.inside():
        solution = np.linalg.pinv(a) @ b
        left = b - a @ solution
        residuals_of = np.sum(left * left, axis=0) if np.size(out[1]) else None
        found = (solution, residuals_of, None, None if out[3] is None else np.linalg.svdvals(a))
    changes = [one.change if type(one) is DifferenceArray else None for one in found]
    residuals = np.asarray(out[1])
    if changes[1] is not None:
        changes[1] = changes[1].reshape((run.batch, *residuals.shape))
    return tuple(run.tables.carried(run, part) if change is None else run.fresh(part, change.copy())
                 for part, change in zip(out, changes, strict=True))


def multi_dot(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.linalg.multi_dot: by the product rule, the value as NumPy orders the products."""
    arrays = args[0]
    values, _, moving = split(run, tuple(arrays))
    out = function(values)
    if not moving:
        return run.fresh(out)
    with run.inside():
        total = arrays[0]
        for array in arrays[1:]:
            total = np.dot(total, array)
    change = total.change
    assert change is not None  # noqa: S101  # one of them moves
    return run.fresh(out, change.copy())


def cho_factor(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.linalg.cho_factor: the triangle that it leaves undefined stands still."""
    lower = bool(args[1] if len(args) > 1 else options.get("lower", False))
    array = args[0]
    out, flag = function(array.value, *args[1:], **options)
    change = array.change
    if change is None:
        return run.fresh(out), flag
    triangle = np.tril(out) if lower else np.triu(out)
    moved = change_by_rule(run, "cholesky", (array.value,), (change,), triangle, upper=not lower)
    return run.fresh(out, moved), flag


def cho_solve(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.linalg.cho_solve: two triangular systems, one after the other."""
    (factor, lower), right, *rest = args
    values, changes, moving = split(run, (factor, right))
    out = function((values[0], lower), values[1], *rest, **options)
    if not moving:
        return run.fresh(out)
    first = _triangular(values, changes, None, lower, not lower, run)
    second = _triangular([values[0], first[0]], [changes[0], first[1]], out, lower, bool(lower), run)
    return run.fresh(out, second[1])


def _triangular(
    values: list[Any], changes: list[Change | None], out: Any, lower: Any, transpose: bool, run: Run
) -> tuple[Any, Change | None]:
    """Return the solution of a triangular system and its change."""
    from scipy.linalg import solve_triangular

    if out is None:
        out = solve_triangular(values[0], values[1], lower=bool(lower), trans=int(transpose))
    if changes[0] is None and changes[1] is None:
        return out, None
    options = {"lower": bool(lower), "transpose": transpose}
    return out, change_by_rule(run, "solve_triangular", tuple(values), tuple(changes), out, **options)


def solve_triangular(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.linalg.solve_triangular."""
    named = dict(zip(("a", "b", "trans", "lower"), args, strict=False)) | dict(options)
    values, changes, moving = split(run, (named.pop("a"), named.pop("b")))
    out = function(*values, **named)
    if not moving:
        return run.fresh(out)
    transpose = named.get("trans", 0) in (1, 2, "T", "C")
    if named.get("unit_diagonal"):
        raise NoRule("scipy.linalg.solve_triangular with unit_diagonal=True", "write the ones into the matrix")
    return run.fresh(out, _triangular(values, changes, out, named.get("lower", False), transpose, run)[1])
