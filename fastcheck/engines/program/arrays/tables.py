"""What acts on arrays that carry changes, by NumPy function, ufunc and operator."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...._errors import NoRule
from ....rules.table import RULES
from . import (
    algebra,
    composed,
    contractions,
    creation,
    curves,
    elementwise,
    joining,
    linear,
    masks,
    matrices,
    missing,
    ordering,
    polynomials,
    rearranging,
    reductions,
    ufunc_methods,
    writing,
)
from .array import DifferenceArray
from .rearranging import arrays_in, rearrangement, value_of
from .run import Handler, Run, Tables
from .versions import of_this_numpy

_FIRST = rearrangement(0, "a", "m", "v", "x", "arr", "ary", "array")
_LIST = rearrangement(0, "arrays", "tup")
_ALL = rearrangement(*range(8), "arys", "args")


def unknown(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """A function that has no handler: it may be called with arrays that stand still, and has no rule for others."""
    arrays = arrays_in(args) + arrays_in(dict(options))
    if any(array.change is not None for array in arrays):
        module = function.__module__ or "numpy"
        raise NoRule(f"{module}.{function.__name__}")
    out = function(*value_of(args), **value_of(dict(options)))
    return carried(run, out, arrays)


def carried(run: Run, out: Any, arrays: Sequence[DifferenceArray] = ()) -> Any:
    """Return what a function has given for `arrays` that stand still, as arrays of this run."""
    if isinstance(out, (np.ndarray, np.generic)):
        for array in arrays:
            if out is array.value:
                return array
            if type(array.value) is np.ndarray and type(out) is np.ndarray and np.may_share_memory(out, array.value):
                return array.cut(out)
        return run.fresh(out) if type(out) is np.ndarray or isinstance(out, np.number) else out
    if type(out) in (list, tuple):
        return type(out)(carried(run, part, arrays) for part in out)
    if isinstance(out, tuple) and hasattr(out, "_fields"):
        return type(out)(*(carried(run, part, arrays) for part in out))
    return out


def of_values(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.shape, ndim, size, result_type and others that look at no entry."""
    return function(*value_of(args), **value_of(dict(options)))


def as_ufunc(ufunc: Any) -> Handler:
    """Return the handler of a function that is a ufunc in disguise."""

    def handler(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        return ufunc(*args, **options)

    return handler


def reshape_function(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.reshape."""
    named = dict(options)
    array = args[0] if args else named.pop("a")
    shape = args[1] if len(args) > 1 else named.get("shape", named.get("newshape"))
    order = args[2] if len(args) > 2 else named.get("order", "C")
    return reshape(joining.array_of(run, array), shape, order, named.get("copy"))


def ravel_function(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.ravel."""
    array = joining.array_of(run, args[0] if args else options["a"])
    return ravel(array, args[1] if len(args) > 1 else options.get("order", "C"))


def reshape(array: DifferenceArray, shape: Any, order: str, copy: bool | None) -> Any:
    """ndarray.reshape."""
    shape = rearranging.still_value(shape)
    if order != "C" or copy is not None:
        copied = {} if copy is None else {"copy": copy}  # which NumPy 2.0 does not know
        return _FIRST(array.run, np.reshape, (array, shape), {"order": order, **copied})
    return rearranging.reshaped(array, array.value.reshape(shape))


def ravel(array: DifferenceArray, order: str) -> Any:
    """ndarray.ravel."""
    if order != "C":
        return _FIRST(array.run, np.ravel, (array, order), {})
    return rearranging.reshaped(array, array.value.ravel())


def astype(array: DifferenceArray, dtype: Any, order: str, casting: str, copy: bool) -> Any:
    """ndarray.astype: whole numbers are a step function of what they were."""
    value, run, change = array.value, array.run, array.change
    if type(value) is np.ndarray:
        out: Any = value.astype(dtype, order, casting, copy=copy)  # type: ignore[call-overload]  # any string is tried
    else:
        out = value.astype(dtype)
    if out is value:
        return array
    if change is None or not change.any():
        return run.rearranged(out, None, array.owner.computed)
    run.check_precision(out)
    before, after = value.dtype.kind, dtype.kind
    if before == after or (after in "fc" and before in "fbiu") or (before == "b" and after in "iu"):
        return run.rearranged(
            out, change.astype(np.complex128) if after == "c" else change.copy(), array.owner.computed
        )
    if after == "b" or (before == "f" and after in "iu"):
        with run.inside():  # it counts as no operation, as where nothing differs between perturbations
            whole = (run.tables.operate(run, "not_equal", np.not_equal, (array, 0)) if after == "b"
                     else run.tables.operate(run, "trunc", np.trunc, (array,)))
        return run.rearranged(out, whole.change, True)
    raise NoRule(f"astype({dtype}) of an array of {value.dtype} that moves", "compute in float64 throughout")


def flat(array: DifferenceArray) -> Any:
    """ndarray.flat."""
    return writing.Flat(array)


def _where(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    if len(args) == 1:
        return unknown(run, np.nonzero, args, options)
    return elementwise.operate(run, "where", np.where, args)


def _clip(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    named = dict(options)
    array = args[0] if args else named.pop("a")
    low = args[1] if len(args) > 1 else named.get("a_min", named.get("min"))
    high = args[2] if len(args) > 2 else named.get("a_max", named.get("max"))
    out = args[3] if len(args) > 3 else named.get("out")
    if low is None and high is None:
        return reductions.into(array + 0, out)
    with run.called("clip"):
        result = array if low is None else elementwise.operate(run, "maximum", np.maximum, (array, low))
        if high is not None:
            result = elementwise.operate(run, "minimum", np.minimum, (result, high))
    return reductions.into(result, out)


def real_part(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.real and ndarray.real: the array itself where it is real."""
    array = args[0] if args else options["val"]
    return array if array.dtype.kind != "c" else _part(run, array, "real")


def imaginary_part(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.imag and ndarray.imag: zeros where the array is real."""
    array = args[0] if args else options["val"]
    return _part(run, array, "imag") if array.dtype.kind == "c" else run.rearranged(array.value.imag, None, False)


def _part(run: Run, array: DifferenceArray, name: str) -> DifferenceArray:
    value, change = getattr(array.value, name), array.change
    if type(value) is np.ndarray:
        value.flags.writeable = False  # writing through it would not reach the changes
    return run.fresh(value, None if change is None else getattr(change, name).copy())


_AXES = ("axis", "out", "keepdims", "initial", "where")
_SPREAD = ("axis", "dtype", "out", "ddof", "keepdims")

# fmt: off
_VIEWS_AND_COPIES: dict[Any, Handler] = dict.fromkeys((
    np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.squeeze, np.expand_dims, np.diagonal, np.broadcast_to,
    np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.flip, np.fliplr, np.flipud, np.rot90, np.roll,
    np.repeat, np.tile, np.take, np.take_along_axis, np.tril, np.triu, np.diag, np.diagflat, np.resize, np.delete,
    np.matrix_transpose, np.lib.stride_tricks.sliding_window_view, np.copy, np.trim_zeros,
), _FIRST)
_SINCE_NUMPY_2_1: dict[str, Handler] = {
    "unstack": _FIRST,
    "cumulative_sum": composed.composed(composed.cumulative(np.cumsum, 0.0)),
    "cumulative_prod": composed.composed(composed.cumulative(np.cumprod, 1.0)),
}
_JOINS: dict[Any, Handler] = {
    **dict.fromkeys((np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.block), _LIST),
    **dict.fromkeys((np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_arrays, np.meshgrid), _ALL),
}
_LOOKS: dict[Any, Handler] = dict.fromkeys((
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj, np.common_type,
    np.min_scalar_type, np.shares_memory, np.may_share_memory, np.diag_indices_from, np.tril_indices_from,
    np.triu_indices_from,
), of_values)
# fmt: on
_MAKES: dict[Any, Handler] = dict.fromkeys((np.zeros_like, np.empty_like, np.ones_like), creation.made)

_KEPT = ("axis", "out", "overwrite_input", "keepdims")
_FOURIER = {
    function: linear.along_axes("axis", 2, -1)
    for function in (np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft, np.fft.ihfft)
} | {
    function: linear.along_axes("axes", 2, (-2, -1))
    for function in (np.fft.fft2, np.fft.ifft2, np.fft.rfft2, np.fft.irfft2)
} | {
    function: linear.along_axes("axes", 2, None)
    for function in (np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn)
}  # fmt: skip
_DECIDED: dict[Any, Handler] = dict.fromkeys(
    (np.isclose, np.allclose, np.array_equal, np.array_equiv, np.searchsorted, np.digitize, np.lexsort, np.argpartition,
     np.isin, np.nonzero, np.flatnonzero, np.argwhere, np.nanargmax, np.nanargmin),
    composed.decided,
)  # fmt: skip

FUNCTIONS: dict[Any, Handler] = {
    **_VIEWS_AND_COPIES,
    **of_this_numpy(_SINCE_NUMPY_2_1),
    **_JOINS,
    **_LOOKS,
    **_MAKES,
    **_FOURIER,
    **_DECIDED,
    np.full_like: creation.filled,
    np.copyto: writing.copyto,
    np.put: writing.put,
    np.place: writing.place,
    np.putmask: writing.putmask,
    np.fill_diagonal: writing.fill_diagonal,
    np.put_along_axis: writing.put_along_axis,
    np.real: real_part,
    np.imag: imaginary_part,
    np.reshape: reshape_function,
    np.ravel: ravel_function,
    np.concatenate: joining.concatenate,
    np.append: rearrangement(0, 1, "arr", "values"),
    np.insert: rearrangement(0, 2, "arr", "values"),
    np.select: rearrangement(1, 2, "choicelist", "default"),
    np.choose: rearrangement(1, "choices"),
    np.compress: rearrangement(1, "a"),
    np.extract: rearrangement(1, "arr"),
    np.fft.fftshift: _FIRST,
    np.fft.ifftshift: _FIRST,
    np.pad: joining.pad,
    np.where: _where,
    np.clip: _clip,
    np.sum: reductions.sums,
    np.mean: reductions.sums,
    np.cumsum: reductions.cumulative_sum,
    np.trace: linear.each(0, "a"),
    np.diff: linear.each(0, "a", "prepend", "append"),
    np.ediff1d: linear.each(0, 1, 2, "ary", "to_end", "to_begin"),
    np.gradient: linear.each(0, "f"),
    np.trapezoid: composed.composed(curves.integral),
    np.interp: composed.composed(curves.interpolated),
    np.sinc: composed.composed(curves.sinc),
    np.i0: elementwise.by_name("i0", 1),
    np.piecewise: composed.composed(curves.pieces),
    np.bincount: linear.each(1, "weights"),
    np.histogram: linear.each("weights"),
    np.apply_along_axis: composed.composed(composed.along_axis),
    np.max: reductions.by_rule(*_AXES),
    np.min: reductions.by_rule(*_AXES),
    np.amax: reductions.by_rule(*_AXES),
    np.amin: reductions.by_rule(*_AXES),
    np.ptp: reductions.by_rule("axis", "out", "keepdims"),
    np.prod: reductions.by_rule("axis", "dtype", "out", "keepdims", "initial", "where"),
    np.cumprod: reductions.cumulative_product,
    np.argmax: reductions.by_rule("axis", "out", "keepdims"),
    np.argmin: reductions.by_rule("axis", "out", "keepdims"),
    np.any: reductions.by_rule("axis", "out", "keepdims"),
    np.all: reductions.by_rule("axis", "out", "keepdims"),
    np.count_nonzero: reductions.by_rule("axis"),
    np.var: reductions.by_rule(*_SPREAD),
    np.std: reductions.by_rule(*_SPREAD),
    np.median: reductions.by_rule(*_KEPT),
    np.quantile: ordering.quantile(1.0),
    np.percentile: ordering.quantile(100.0),
    np.sort: ordering.along_one_axis,
    np.argsort: ordering.along_one_axis,
    np.average: composed.composed(composed.average),
    np.cov: composed.composed(composed.covariance),
    np.corrcoef: composed.composed(composed.correlation),
    np.cross: composed.composed(composed.cross),
    np.linalg.cross: composed.composed(composed.cross),
    np.kron: composed.composed(composed.kron),
    np.vdot: composed.vdot,
    np.polyval: composed.composed(polynomials.value_at),
    np.vander: composed.composed(polynomials.vandermonde),
    np.polyadd: composed.composed(polynomials.added),
    np.polysub: composed.composed(polynomials.subtracted),
    np.polymul: composed.composed(polynomials.multiplied),
    np.polyder: composed.composed(polynomials.derived),
    np.polyint: composed.composed(polynomials.integrated),
    np.poly: composed.composed(polynomials.with_roots),
    np.angle: composed.composed(composed.angle),
    np.unwrap: composed.composed(composed.unwrapped),
    np.partition: composed.composed(composed.partitioned),
    np.fix: composed.composed(np.trunc),
    np.round: composed.composed(composed.rounded),
    np.around: composed.composed(composed.rounded),
    np.nan_to_num: composed.composed(missing.replaced),
    np.nansum: composed.composed(missing.sums),
    np.nanprod: composed.composed(missing.products),
    np.nanmean: composed.composed(missing.means),
    np.nanmax: composed.composed(missing.extreme(np.max, -np.inf)),
    np.nanmin: composed.composed(missing.extreme(np.min, np.inf)),
    np.nancumsum: composed.composed(missing.running(np.cumsum, 0.0)),
    np.nancumprod: composed.composed(missing.running(np.cumprod, 1.0)),
    np.nanmedian: composed.composed(missing.medians),
    np.nanquantile: composed.composed(missing.quantiles(np.quantile)),
    np.nanpercentile: composed.composed(missing.quantiles(np.percentile)),
    np.nanvar: composed.composed(missing.variances),
    np.nanstd: composed.composed(missing.deviations),
    np.dot: contractions.dot,
    np.einsum: contractions.einsum,
    np.inner: contractions.by_letters(contractions.inner_letters),
    np.outer: contractions.flat_outer,
    np.linalg.outer: contractions.flat_outer,
    np.tensordot: contractions.by_letters(contractions.tensordot_letters),
    np.linalg.tensordot: contractions.by_letters(contractions.tensordot_letters),
    np.linalg.matmul: as_ufunc(np.matmul),
    np.linalg.vecdot: as_ufunc(np.vecdot),
    np.convolve: linear.bilinear_each,
    np.correlate: linear.bilinear_each,
    np.linalg.inv: algebra.by_rule("inv", 1),
    np.linalg.solve: algebra.by_rule("solve", 2),
    np.linalg.det: algebra.by_rule("det", 1),
    np.linalg.slogdet: algebra.by_rule("slogdet", 1),
    np.linalg.cholesky: algebra.by_rule("cholesky", 1, "upper"),
    np.linalg.pinv: algebra.by_rule("pinv", 1),
    np.linalg.eigh: algebra.by_rule("eigh", 1),
    np.linalg.eigvalsh: algebra.by_rule("eigvalsh", 1),
    np.linalg.svd: algebra.svd,
    np.linalg.svdvals: algebra.by_rule("svdvals", 1),
    np.linalg.qr: algebra.qr,
    np.linalg.norm: algebra.norm,
    np.linalg.vector_norm: algebra.vector_norm,
    np.linalg.matrix_norm: composed.composed(matrices.matrix_norm),
    np.linalg.cond: composed.composed(matrices.condition),
    np.linalg.tensorsolve: composed.composed(matrices.tensor_solution),
    np.linalg.tensorinv: composed.composed(matrices.tensor_inverse),
    np.linalg.lstsq: algebra.least_squares,
    np.linalg.matrix_power: algebra.matrix_power,
    np.linalg.multi_dot: algebra.multi_dot,
    np.linalg.trace: linear.each(0, "x"),
    np.linalg.diagonal: _FIRST,
    np.linalg.matrix_transpose: _FIRST,
}

TABLES = Tables(
    rules=RULES,
    functions=FUNCTIONS,
    call=elementwise.call,
    call_method=ufunc_methods.call_method,
    operate=elementwise.operate,
    operate_on_one=elementwise.operate_on_one,
    operate_on_two=elementwise.operate_on_two,
    operate_in_place=elementwise.operate_in_place,
    carried=carried,
    unknown=unknown,
    gathered_in=joining.gathered_in,
    put_where=masks.put_where,
    contract=contractions.contract,
    contractions=contractions.UFUNCS,
    reshape=reshape,
    ravel=ravel,
    astype=astype,
    flat=flat,
)
