"""Functions whose changes come from other operations, and functions that decide: their values are NumPy's own."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...._errors import NoRule
from .array import DifferenceArray
from .elementwise import owned
from .rearranging import arrays_in, value_of
from .reductions import into
from .run import Handler, Run


def composed(definition: Callable[..., Any]) -> Handler:
    """Return the handler of a function whose changes are those of `definition`: the same from other operations."""

    def handler(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        named = {key: option for key, option in options.items() if key != "out"}
        arrays = arrays_in(args) + arrays_in(named)
        value = function(*value_of(args), **value_of(named))
        value = np.float64(value) if type(value) is float else value
        if all(array.change is None for array in arrays):
            return into(run.fresh(value), options.get("out"))
        with run.inside():
            found = definition(*args, **named)
        change = found.change if type(found) is DifferenceArray else None
        moved = None if change is None else owned(change, [change], run.batch, value.shape)
        return into(run.fresh(value, moved), options.get("out"))

    return handler


def decided(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return a function that decides, such as numpy.allclose: what it gives must be the same for every perturbation."""
    arrays = arrays_in(args) + arrays_in(dict(options))
    value = function(*value_of(args), **value_of(dict(options)))
    if any(array.change is not None for array in arrays):
        for place in range(run.batch):
            here = function(*moved_at(args, place), **moved_at(dict(options), place))
            if not _equal(here, value):
                raise NoRule(
                    f"numpy.{function.__name__}, whose result differs between perturbations", "check at other inputs"
                )
    return run.tables.carried(run, value)


def moved_at(operand: Any, place: int) -> Any:
    """The operand as one perturbation has it, in nested lists and tuples too."""
    if type(operand) is DifferenceArray:
        change = operand.change
        return operand.value if change is None else operand.value + change[place]
    if type(operand) in (list, tuple):
        return type(operand)(moved_at(part, place) for part in operand)
    if type(operand) is dict:
        return {key: moved_at(part, place) for key, part in operand.items()}
    return operand


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return np.array_equal(one, other)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """numpy.average."""
    if returned:
        raise NoRule("numpy.average with returned=True", "call numpy.sum of the weights")
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    weights = np.asarray(weights) if type(weights) is not DifferenceArray else weights
    if np.ndim(weights) < np.ndim(a):
        shape = [1] * np.ndim(a)
        shape[axis] = -1
        weights = np.reshape(weights, shape)
    whole = weights * np.ones(np.shape(a))
    return np.sum(a * whole, axis=axis, keepdims=keepdims) / np.sum(whole, axis=axis, keepdims=keepdims)


def covariance(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """numpy.cov."""
    if fweights is not None or aweights is not None:
        raise NoRule("numpy.cov with weights", "write the weighted product out")
    rows = _rows(m, rowvar)
    if y is not None:
        rows = np.concatenate([rows, _rows(y, rowvar)], axis=0)
    centred = rows - np.mean(rows, axis=1, keepdims=True)
    missing = ddof if ddof is not None else (0 if bias else 1)
    return np.squeeze(centred @ centred.T / (rows.shape[1] - missing))


def _rows(m: Any, rowvar: bool) -> Any:
    rows = np.reshape(m, (1, -1)) if np.ndim(m) < 2 else m
    return rows.T if not rowvar and np.shape(rows)[0] != 1 else rows


def correlation(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """numpy.corrcoef; clipping to [-1, 1], which only rounding makes necessary, is left out."""
    found = covariance(x, y, rowvar)
    if np.ndim(found) == 0:
        return found / found
    spread = np.sqrt(np.diagonal(found))
    return found / spread[:, None] / spread[None, :]


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """numpy.cross of vectors of three."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = (
        np.moveaxis(np.asarray(one) if not hasattr(one, "run") else one, where, -1)
        for one, where in ((a, axisa), (b, axisb))
    )
    if np.shape(a)[-1] != 3 or np.shape(b)[-1] != 3:
        raise NoRule("numpy.cross of vectors of two", "write it out")
    parts = [a[..., i] * b[..., j] - a[..., j] * b[..., i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return np.moveaxis(np.stack(parts, axis=-1), -1, axisc)


def kron(a: Any, b: Any) -> Any:
    """numpy.kron of arrays of any, not always equal, numbers of axes."""
    depth = max(np.ndim(a), np.ndim(b))
    first, second = ((1,) * (depth - np.ndim(one)) + np.shape(one) for one in (a, b))
    spread = np.reshape(a, [length for size in first for length in (size, 1)])
    tiles = np.reshape(b, [length for size in second for length in (1, size)])
    return np.reshape(spread * tiles, [m * n for m, n in zip(first, second, strict=True)])


def vdot(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.vdot: of real numbers a product like all others, which may serve what enters it."""
    if any(np.iscomplexobj(value_of(one)) for one in args):
        return _complex_vdot(run, function, args, options)
    return np.dot(*map(np.ravel, args))


_complex_vdot = composed(lambda a, b: np.sum(np.conjugate(np.ravel(a)) * np.ravel(b)))


def along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **options: Any) -> Any:
    """numpy.apply_along_axis."""
    lines, axis = np.moveaxis(arr, axis, -1), axis % np.ndim(arr)
    outer = np.shape(lines)[:-1]
    found = np.stack([func1d(lines[place], *args, **options) for place in np.ndindex(outer)])
    inner = np.shape(found)[1:]
    found = np.reshape(found, (*outer, *inner))
    return np.moveaxis(found, range(len(outer), np.ndim(found)), range(axis, axis + len(inner)))


def rounded(a: Any, decimals: int = 0) -> Any:
    """numpy.round."""
    return np.rint(a) if decimals == 0 else np.rint(a * 10.0**decimals) / 10.0**decimals


def cumulative(running: Callable[..., Any], first: float) -> Callable[..., Any]:
    """Return the definition of numpy.cumulative_sum or cumulative_prod."""

    def definition(x: Any, /, *, axis: int | None = None, include_initial: bool = False) -> Any:
        found = running(x, axis=axis if axis is not None else -1)
        if not include_initial:
            return found
        shape = list(np.shape(x))
        shape[axis if axis is not None else -1] = 1
        return np.concatenate([np.full(shape, first), found], axis=axis if axis is not None else -1)

    return definition


def angle(z: Any, deg: bool = False) -> Any:
    """numpy.angle."""
    found = np.arctan2(np.imag(z), np.real(z))
    return found * (180.0 / np.pi) if deg else found


def unwrapped(p: Any, *args: Any, **options: Any) -> Any:
    """numpy.unwrap, which adds whole periods."""
    return p + (np.unwrap(value_of(p), *args, **options) - value_of(p))


def partitioned(a: Any, kth: Any, axis: int = -1) -> Any:
    """numpy.partition."""
    found = np.take_along_axis(a, np.argpartition(a, kth, axis=axis), axis=axis)
    if not np.array_equal(value_of(found), np.partition(value_of(a), kth, axis=axis)):
        raise NoRule("numpy.partition, which orders these entries otherwise than numpy.argpartition", "use numpy.sort")
    return found


def running(ufunc: Any) -> Callable[..., Any]:
    """Return the definition of ``ufunc.accumulate``: step by step along the axis."""

    def definition(a: Any, axis: int = 0) -> Any:
        rows = np.moveaxis(a, axis, 0)
        found = [rows[0]]
        for place in range(1, len(rows)):
            found.append(ufunc(found[-1], rows[place]))
        return np.moveaxis(np.stack(found), 0, axis)

    return definition


def folded(ufunc: Any) -> Callable[..., Any]:
    """Return the definition of ``ufunc.reduce``: step by step along the axis."""

    def definition(a: Any, axis: Any = 0, keepdims: bool = False) -> Any:
        rows = np.moveaxis(a, axis, 0) if isinstance(axis, int) else np.reshape(a, -1)
        total = rows[0]
        for place in range(1, len(rows)):
            total = ufunc(total, rows[place])
        return np.expand_dims(total, axis) if keepdims and isinstance(axis, int) else total

    return definition
