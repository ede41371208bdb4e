"""Ufuncs and operators, applied to values and asked for the changes of what they give."""

import string
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ...._errors import NoRule
from .array import DifferenceArray
from .run import Run
from .sparse import is_sparse, product
from .storage import Change

Operands = tuple[Any, ...]
# Types of operands that need no second look: plain arrays and numbers.
_PLAIN = frozenset((np.ndarray, np.float64, float, int, bool))
# Of the operands of sums.
SIGNS = {"add": (1.0, 1.0), "subtract": (1.0, -1.0)}
# The rules of the outputs of SciPy's functions that have several.
SEVERAL = {
    "sici": ("sine_integral", "cosine_integral"),
    "shichi": ("hyperbolic_sine_integral", "hyperbolic_cosine_integral"),
    "fresnel": ("fresnel_sine", "fresnel_cosine"),
    "airy": ("airy_ai", "airy_ai_slope", "airy_bi", "airy_bi_slope"),
}


def operate(run: Run, name: str, plain: Callable[..., Any], operands: Operands) -> DifferenceArray:
    """Return the result of an elementwise operation: `plain` of the values, and the changes by the rule of that name.

    Parameters
    ----------
    run : the run that the operands belong to.
    name : the operation's name among the rules.
    plain : what is applied to the values.
    operands : arrays that carry changes, plain arrays and numbers.
    """
    if name == "multiply" and any(is_sparse(operand) for operand in operands):
        return product(run, name, plain, operands)  # type: ignore[no-any-return]  # it makes arrays only
    values, changes, moving = split(run, operands)
    out = plain(*values)
    if type(out) is complex:  # of a number of Python's and one of NumPy's
        out = np.complex128(out)
    scaled = run.notes is not None and _note(run, name, operands, values, out)
    if not moving or out is NotImplemented:
        return out if out is NotImplemented else run.fresh(out)
    made = run.fresh(out, change_of(run, name, values, changes, out))
    if scaled and run.notes is not None:
        run.notes.carry(operands, made)
    return made


def operate_on_one(run: Run, name: str, plain: Callable[..., Any], array: Any) -> DifferenceArray:
    """``operate`` for one array that carries changes, without detours."""
    value = array.value
    change = array._change if array.base is None else array.change
    out = plain(value)
    if change is None:
        return run.fresh(out)
    rule = run.tables.rules.get(name)
    if rule is None or not rule.elementwise:
        raise NoRule(full_name(name))
    moved = rule.change(np, (value,), (change,), out, run.at(name))
    if rule.discrete and not np.count_nonzero(moved):
        return run.fresh(out)  # what all perturbations share stands still
    if moved is change or type(moved) is not np.ndarray or moved.base is not None or moved.ndim != change.ndim:
        moved = owned(moved, (change,), run.batch, out.shape)
    made = run.fresh(out, moved)
    if run.notes is not None and name == "negative" and run.notes.scales((array,)):
        run.notes.carry((array,), made)
    return made


def operate_on_two(run: Run, name: str, plain: Callable[..., Any], a: Any, b: Any) -> DifferenceArray:
    """``operate`` for two operands, without detours for arrays and numbers.

    Both operands are unpacked here, alike as that is: most of a small program's time goes through these lines.
    """
    if type(a) is DifferenceArray and a.run is run:
        value_a = a.value
        da = a._change if a.base is None else a.change
    elif type(a) in _PLAIN:
        value_a, da = a, None
    else:
        return operate(run, name, plain, (a, b))
    if type(b) is DifferenceArray and b.run is run:
        value_b = b.value
        db = b._change if b.base is None else b.change
    elif type(b) in _PLAIN:
        value_b, db = b, None
    else:
        return operate(run, name, plain, (a, b))
    out = plain(value_a, value_b)
    if type(out) is complex:  # of a number of Python's and one of NumPy's
        out = np.complex128(out)
    scaled = run.notes is not None and _note(run, name, (a, b), (value_a, value_b), out)
    if da is None and db is None:
        return run.fresh(out)
    rule = run.tables.rules.get(name)
    if rule is None or not rule.elementwise:
        raise NoRule(full_name(name))
    ndim = out.ndim + 1
    if da is not None and da.ndim != ndim:
        da = lifted_to(da, ndim)
    if db is not None and db.ndim != ndim:
        db = lifted_to(db, ndim)
    second = da is None and type(a) is DifferenceArray
    change = rule.change(np, (value_a, value_b), (da, db), out, run.at(name, second=second))
    if rule.discrete and not np.count_nonzero(change):
        return run.fresh(out)  # a mask that all perturbations share stands still
    if (
        change is da
        or change is db
        or type(change) is not np.ndarray
        or change.base is not None
        or change.shape[1:] != out.shape
    ):
        change = owned(change, (da, db), run.batch, out.shape)
    made = run.fresh(out, change)
    if scaled and run.notes is not None:
        run.notes.carry((a, b), made)
    return made


def split(run: Run, operands: Operands) -> tuple[list[Any], list[Change | None], bool]:
    """Return the operands' values, their changes (None where they stand still), and whether one of them moves."""
    values: list[Any] = []
    changes: list[Change | None] = []
    moving = False
    for operand in operands:
        if type(operand) is list or type(operand) is tuple:
            array = run.tables.gathered_in(run, operand)
            operand = array if type(array) is DifferenceArray else np.asarray(array)
        if type(operand) is DifferenceArray:
            if operand.run is not run:
                operand = run.foreign(operand)
                values.append(operand)
                changes.append(None)
                continue
            values.append(operand.value)
            change = operand._change if operand.base is None else operand.change
            if change is not None:
                moving = True
            changes.append(change)
        else:
            if type(operand) not in _PLAIN and is_sparse(operand):
                raise NoRule("a sparse matrix and an array that carries changes", "use dense arrays")
            values.append(operand)
            changes.append(None)
    return values, changes, moving


def change_of(
    run: Run, name: str, values: list[Any], changes: list[Change | None], out: Any, **options: Any
) -> Change | None:
    """Return the change of an elementwise operation's result, (batch, *out.shape), shared with no operand."""
    ndim = out.ndim + 1
    lifted = [change if change is None or change.ndim == ndim else lifted_to(change, ndim) for change in changes]
    rule = run.tables.rules.get(name)
    if rule is None or not rule.elementwise:
        raise NoRule(full_name(name))
    change = rule.change(np, values, lifted, out, run.at(name), **options)
    if rule.discrete and not np.count_nonzero(change):
        return None  # a mask that all perturbations share stands still
    return None if change is None else owned(change, lifted, run.batch, out.shape)


def _note(run: Run, name: str, operands: Operands, values: Sequence[Any], out: Any) -> bool:
    """Note a product of two operands, or a sum in which one may be broadcast; tell whether it only scales entries."""
    assert run.notes is not None  # noqa: S101  # asked where somebody takes notes
    if name == "multiply" or (name == "divide" and not moves(operands[1])):
        if np.isrealobj(out) and run.notes.scales(operands):
            return True
        if name == "multiply":
            run.notes.product(run.count + 1, operands, _elementwise_letters(values, out))
    elif name in SIGNS:
        run.notes.sum(run.count + 1, operands, SIGNS[name], np.size(out))
    return False


def moves(operand: Any) -> bool:
    """Tell whether an operand carries a change."""
    return type(operand) is DifferenceArray and operand.change is not None


def _elementwise_letters(values: Sequence[Any], out: Any) -> str:
    letters = string.ascii_lowercase[: np.ndim(out)]
    parts = [letters[len(letters) - np.ndim(value) :] for value in values]
    return f"{','.join(parts)}->{letters}"


def owned(change: Any, sources: Sequence[Change | None], batch: int, shape: tuple[int, ...]) -> Change:
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


def lifted_to(change: Change, ndim: int) -> Change:
    """(batch, *shape) with axes of length one behind the batch axis, `ndim` in all."""
    return change.reshape(change.shape[:1] + (1,) * (ndim - change.ndim) + change.shape[1:])


def operate_in_place(run: Run, name: str, plain: Callable[..., Any], target: Any, operand: Any) -> Any:
    """Apply ``target += operand`` or another of these: a scalar gets a new value, an array keeps its place."""
    if name == "matmul":
        result = run.tables.contract(run, plain, (target, operand))
    else:
        result = operate_on_two(run, name, plain, target, operand)
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
        change = lifted_to(change, whole.ndim)
    np.copyto(whole, change, where=where)


def call(run: Run, ufunc: Any, inputs: Operands) -> Any:
    """Return a ufunc called with nothing but inputs."""
    if ufunc in run.tables.contractions:
        return run.tables.contract(run, ufunc, inputs)
    if ufunc.nout > 1:
        return call_with_several_outputs(run, ufunc, inputs)
    if len(inputs) == 2:
        return operate_on_two(run, name_of(ufunc), ufunc, *inputs)
    if len(inputs) == 1 and inputs[0].run is run:
        return operate_on_one(run, name_of(ufunc), ufunc, inputs[0])
    return operate(run, name_of(ufunc), ufunc, inputs)


def full_name(name: str) -> str:
    """Return a ufunc as users write it."""
    if " " in name:
        return name
    return f"numpy.{name}" if hasattr(np, name) else f"scipy.special.{name}"


@lru_cache(maxsize=512)
def name_of(ufunc: Any) -> str:
    """Return the name of a ufunc's rule: its own name, if it is NumPy's or SciPy's ufunc of that name."""
    name: str = ufunc.__name__
    special = sys.modules.get("scipy.special")
    if getattr(np, name, None) is ufunc or (special is not None and getattr(special, name, None) is ufunc):
        return name
    return f"{name} (a ufunc that is not NumPy's or SciPy's)"


def call_with_several_outputs(run: Run, ufunc: Any, inputs: Operands) -> Any:
    """divmod, modf, frexp and some of SciPy's functions: by their parts where something moves."""
    values, _, moving = split(run, inputs)
    if not moving:
        return tuple(run.fresh(out) for out in ufunc(*values))
    if ufunc is np.divmod:
        return np.floor_divide(*inputs), np.remainder(*inputs)
    if ufunc is np.modf:
        whole = np.trunc(*inputs)
        return inputs[0] - whole, whole
    name = name_of(ufunc)
    if name in SEVERAL:
        return tuple(operate(run, part, lambda *given, k=k: ufunc(*given)[k], inputs)
                     for k, part in enumerate(SEVERAL[name]))
    raise NoRule(full_name(name))


def by_name(name: str, count: int) -> Callable[..., Any]:
    """Return the handler of a function of ``count`` operands that is no ufunc, but works element by element."""

    def handler(run: Run, function: Any, args: Operands, options: Any) -> Any:
        if options or len(args) != count:
            raise NoRule(f"{full_name(name)} of other operands than {count} by their places")
        return operate(run, name, function, args)

    return handler
