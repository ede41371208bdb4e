"""Ufuncs and operators, applied to values and asked for the changes of what they give."""

import string
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._errors import NoRule
from .array import DifferenceArray
from .run import Run
from .sparse import is_sparse, product

Change = NDArray[Any]
Operands = tuple[Any, ...]
_PRODUCTS = ("matmul", "multiply")
# Types of operands that need no second look: what carries changes, plain arrays and numbers.
_DENSE = frozenset((DifferenceArray, np.ndarray, np.float64, float, int, bool))


def operate(run: Run, name: str, plain: Callable[..., Any], operands: Operands) -> DifferenceArray:
    """The result of an elementwise operation: `plain` of the values, and the changes by the rule of that name.

    Parameters
    ----------
    run : the run that the operands belong to.
    name : the operation's name among the rules.
    plain : what is applied to the values.
    operands : arrays that carry changes, plain arrays and numbers.
    """
    if name in _PRODUCTS and any(type(operand) not in _DENSE and is_sparse(operand) for operand in operands):
        return product(run, name, plain, operands)
    if name == "matmul":
        return run.tables.contract(run, plain, operands)  # type: ignore[no-any-return]  # it makes arrays only
    values, changes, moving = split(run, operands)
    out = plain(*values)
    if run.notes is not None and name == "multiply":
        run.notes.product(run.count + 1, operands, _elementwise_letters(values, out))
    if not moving or out is NotImplemented:
        return out if out is NotImplemented else run.fresh(out)
    return run.fresh(out, change_of(run, name, values, changes, out))


def split(run: Run, operands: Operands) -> tuple[list[Any], list[Change | None], bool]:
    """The operands' values, their changes (None where they stand still), and whether one of them moves."""
    values: list[Any] = []
    changes: list[Change | None] = []
    moving = False
    for operand in operands:
        if type(operand) is DifferenceArray:
            if operand.run is not run:
                raise NoRule("an array kept from an earlier call of the function", "make it anew at each call")
            values.append(operand.value)
            change = operand._change if operand.base is None else operand.change
            if change is not None:
                moving = True
            changes.append(change)
        elif type(operand) is list or type(operand) is tuple:
            array = run.tables.gathered_in(run, operand)
            moves = type(array) is DifferenceArray
            values.append(array.value if moves else np.asarray(array))
            changes.append(array.change if moves else None)
            moving = moving or changes[-1] is not None
        else:
            if type(operand) not in _DENSE and is_sparse(operand):
                raise NoRule("a sparse matrix and an array that carries changes", "use dense arrays")
            values.append(operand)
            changes.append(None)
    return values, changes, moving


def change_of(
    run: Run, name: str, values: list[Any], changes: list[Change | None], out: Any, **options: Any
) -> Change | None:
    """The change of an elementwise operation's result, (batch, *out.shape), shared with no operand."""
    rule = run.tables.rules.get(name)
    if rule is None or not rule.elementwise:
        raise NoRule(f"numpy.{name}")
    ndim = out.ndim + 1
    lifted = [change if change is None or change.ndim == ndim else _lifted(change, ndim) for change in changes]
    change = rule.change(np, values, lifted, out, run.branches, **options)
    if rule.discrete and not np.any(change):
        return None  # a mask that all perturbations share stands still
    return None if change is None else owned(change, lifted, run.batch, out.shape)


def _elementwise_letters(values: list[Any], out: Any) -> str:
    letters = string.ascii_lowercase[: np.ndim(out)]
    parts = [letters[len(letters) - np.ndim(value) :] for value in values]
    return f"{','.join(parts)}->{letters}"


def owned(change: Any, sources: list[Change | None], batch: int, shape: tuple[int, ...]) -> Change:
    """`change` in full shape and shared with none of `sources`."""
    full = (batch, *shape)
    if type(change) is not np.ndarray or change.shape != full:
        whole = np.empty(full, np.complex128 if np.iscomplexobj(change) else np.float64)
        whole[...] = change
        return whole
    base = change.base
    for source in sources:
        if source is not None and (source is change or (base is not None and (base is source or base is source.base))):
            return change.copy()
    return change


def _lifted(change: Change, ndim: int) -> Change:
    return change.reshape(change.shape[:1] + (1,) * (ndim - change.ndim) + change.shape[1:])


def operate_in_place(run: Run, name: str, plain: Callable[..., Any], target: Any, operand: Any) -> Any:
    """``target += operand`` and its like: a new value for a scalar, the same array with new contents otherwise."""
    result = operate(run, name, plain, (target, operand))
    if type(target.value) is not np.ndarray or result is NotImplemented:
        return result
    write(target, result)
    return target


def write(target: Any, result: DifferenceArray, where: Any = True) -> None:
    """Puts an operation's result into the array that ``out=`` or an in-place operator names."""
    if type(target) is not DifferenceArray:
        if result.change is not None:
            raise NoRule(
                "an operation that writes what moves into a plain array",
                "make that array inside the function with numpy.zeros, numpy.empty or the like",
            )
        np.copyto(target, result.value, casting="same_kind", where=where)
        return
    change = result.change
    if change is None:
        np.copyto(target.value, result.value, casting="same_kind", where=where)
        if target.change is not None:
            np.copyto(target.writable_change(), 0.0, where=where)
        return
    target.run.check_receives(target.value.dtype, result.value.dtype)
    np.copyto(target.value, result.value, casting="same_kind", where=where)
    whole = target.writable_change()
    if result.owner.computed:
        target.owner.computed = True
    if change.ndim < whole.ndim:
        change = _lifted(change, whole.ndim)
    np.copyto(whole, change, where=where)


def call(run: Run, ufunc: Any, inputs: Operands) -> Any:
    """A ufunc called with nothing but inputs."""
    if ufunc in run.tables.contractions:
        return run.tables.contract(run, ufunc, inputs)
    if ufunc.nout > 1:
        return call_with_several_outputs(run, ufunc, inputs)
    return operate(run, name_of(ufunc), ufunc, inputs)


@lru_cache(maxsize=512)
def name_of(ufunc: Any) -> str:
    """The name of a ufunc's rule: its own name, if it is NumPy's or SciPy's ufunc of that name."""
    name: str = ufunc.__name__
    special = sys.modules.get("scipy.special")
    if getattr(np, name, None) is ufunc or (special is not None and getattr(special, name, None) is ufunc):
        return name
    return f"{name} (not one of NumPy's or SciPy's)"


def call_with_several_outputs(run: Run, ufunc: Any, inputs: Operands) -> Any:
    """divmod, modf and frexp: by their parts where something moves."""
    values, _, moving = split(run, inputs)
    if not moving:
        return tuple(run.fresh(out) for out in ufunc(*values))
    if ufunc is np.divmod:
        return np.floor_divide(*inputs), np.remainder(*inputs)
    if ufunc is np.modf:
        whole = np.trunc(*inputs)
        return inputs[0] - whole, whole
    raise NoRule(f"numpy.{ufunc.__name__}")
