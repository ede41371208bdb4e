"""Where a jaxpr's arguments enter equations that are linear in them: what the engine's units are found from.

An argument is followed through everything that only moves entries about (a transpose, a slice, a table look-up):
numbers in place of its entries tell where each one went.  Where it then enters a sum, a product or a convolution, that
equation's output is a place whose responses serve all its entries (see ``fastcheck.engines.program.units``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from ..._types import Array
from ...engines.program.adjoints import Adjoint, Kernel, summed_to
from .evaluation import bound
from .flat import FlatEquation, FlatJaxpr, is_real, shape_of

# Primitives whose outputs hold entries of their first operand, which the others, if any, choose.
MOVING_ABOUT = frozenset((
    "reshape", "transpose", "squeeze", "expand_dims", "broadcast_in_dim", "rev", "slice", "gather", "dynamic_slice",
    "split", "copy", "copy_p", "reduce_precision", "convert_element_type", "optimization_barrier",
))
# Those of them that leave the entries where they are.
IN_PLACE = frozenset(("copy", "copy_p", "reduce_precision", "convert_element_type", "optimization_barrier"))
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Use:
    """An argument, or a rearrangement of it, as an operand of an equation that is linear in it.

    site : number of the equation; number : of the argument; side : which operand it is.
    other : the other operand, or a number where the equation needs none.
    contraction : as in ``Product``.
    """

    site: int
    number: int
    side: int
    other: Any
    contraction: str | Adjoint


@dataclass
class Uses:
    """All uses of arguments that units can serve.

    uses : these; complete : for each argument that moves, whether they are all its uses.
    followed : numbers of the equations that only move entries of an argument about.
    """

    uses: list[Use] = field(default_factory=list)
    complete: list[bool] = field(default_factory=list)
    followed: list[int] = field(default_factory=list)


def uses_of(flat: FlatJaxpr, numbers: Sequence[int], moving: set[Any]) -> Uses:
    """Follow the arguments ``numbers`` through a jaxpr; ``moving`` are the variables that depend on them."""
    found = Uses(complete=[True] * len(numbers))
    holds = {flat.invars[place]: number for number, place in enumerate(numbers)}
    for site, equation in enumerate(flat.eqns):
        operands = [atom for atom in equation.invars if not isinstance(atom, Literal)]
        if not any(atom in holds for atom in operands):
            continue
        if equation.invars[0] in operands and equation.invars[0] in holds and _moves_about(equation, moving):
            holds.update(dict.fromkeys(equation.outvars, holds[equation.invars[0]]))
            found.followed.append(site)
            continue
        for side, atom in enumerate(equation.invars):
            if isinstance(atom, Literal) or atom not in holds:
                continue
            use = _use(equation, side, holds[atom], site)
            if use is None:
                found.complete[holds[atom]] = False
            else:
                found.uses.append(use)
    for variable in flat.outvars:
        if not isinstance(variable, Literal) and variable in holds:
            found.complete[holds[variable]] = False
    return found


def _moves_about(equation: FlatEquation, moving: set[Any]) -> bool:
    name = equation.primitive.name
    if name in IN_PLACE and len(equation.invars) > 1:
        return False
    if name not in MOVING_ABOUT or any(not isinstance(a, Literal) and a in moving for a in equation.invars[1:]):
        return False
    return all(map(is_real, (equation.invars[0], *equation.outvars)))


def _use(equation: FlatEquation, side: int, number: int, site: int) -> Use | None:
    """Return the use of an argument as an operand; None where units cannot serve it."""
    name, operands = equation.primitive.name, equation.invars
    if side > 1 or not all(map(is_real, (*operands, *equation.outvars))):
        return None
    shape = shape_of(operands[side])
    if name == "dot_general":
        return Use(site, number, side, operands[1 - side], _contraction(equation))
    if name == "mul":
        return Use(site, number, side, operands[1 - side], _scaled_to(shape))
    if name == "div" and side == 0:
        return Use(site, number, side, operands[1], _divided_to(shape))
    if name in ("add", "sub", "add_any"):
        return Use(site, number, side, -1.0 if name == "sub" and side == 1 else 1.0, _scaled_to(shape))
    if name == "conv_general_dilated" and side == 1 and _slides(equation) is not None:
        return Use(site, number, side, operands[0], _kernel_of(equation))
    return None


def _scaled_to(shape: tuple[int, ...]) -> Adjoint:
    return lambda response, other: summed_to(response * other, shape)


def _divided_to(shape: tuple[int, ...]) -> Adjoint:
    return lambda response, other: summed_to(response / other, shape)


def _contraction(equation: FlatEquation) -> str:
    """Return lax.dot_general as an einsum: batch axes, then those of the first operand, then those of the second."""
    (left, right), (batch_left, batch_right) = equation.params["dimension_numbers"]
    ranks = [len(shape_of(atom)) for atom in equation.invars]
    letters = iter(LETTERS)
    sides: list[dict[int, str]] = [{}, {}]
    for one, other in (*zip(batch_left, batch_right, strict=True), *zip(left, right, strict=True)):
        sides[0][one] = sides[1][other] = next(letters)
    out = "".join(sides[0][axis] for axis in batch_left)
    for axes, rank in zip(sides, ranks, strict=True):
        for axis in range(rank):
            if axis not in axes:
                axes[axis] = next(letters)
                out += axes[axis]
    return ",".join("".join(axes[k] for k in range(rank)) for axes, rank in zip(sides, ranks, strict=True)) + "->" + out


def _slides(equation: FlatEquation) -> Kernel | None:
    """Return how a convolution slides; None for those that have no windows of their input."""
    params, shape = equation.params, shape_of(equation.invars[1])
    if params["batch_group_count"] != 1 or any(low < 0 or high < 0 for low, high in params["padding"]):
        return None
    spec = params["dimension_numbers"].rhs_spec
    return Kernel(tuple(shape[axis] for axis in spec[2:]), params["window_strides"],
                  [low for low, _ in params["padding"]], params["rhs_dilation"], params["feature_group_count"])


def _kernel_of(equation: FlatEquation) -> Adjoint:
    """Return what responses of a convolution are to its kernel."""
    params, slides = equation.params, _slides(equation)
    assert slides is not None  # noqa: S101 - asked before
    x_axes, kernel_axes, out_axes = params["dimension_numbers"]
    spread = params["lhs_dilation"]

    def adjoint(response: Array, x: Array) -> Array:
        x = np.transpose(x, x_axes)
        wide = np.zeros((*x.shape[:2], *((n - 1) * d + 1 for n, d in zip(x.shape[2:], spread, strict=True))))
        wide[(slice(None), slice(None), *(slice(None, None, d) for d in spread))] = x
        found = slides.response(np.transpose(response, out_axes), wide)
        return np.transpose(found, np.argsort(kernel_axes))

    return adjoint


def owners_of(flat: FlatJaxpr, uses: Uses, numbers: Sequence[int], values: Mapping[Any, Any]) -> list[Any]:
    """Return for each use which entries of the argument stand in the operand, -1 for none.

    Parameters
    ----------
    values : of the variables that choose places.
    """
    labels: dict[Any, Any] = {}
    for place in numbers:
        shape = shape_of(flat.invars[place])
        labels[flat.invars[place]] = jnp.arange(int(np.prod(shape)), dtype=jnp.int32).reshape(shape)
    for site in uses.followed:
        equation = flat.eqns[site]
        first, *rest = equation.invars
        params = dict(equation.params)
        if "fill_value" in params:
            params["fill_value"] = -1
        if equation.primitive.name in IN_PLACE:
            outs = [labels[first]]
        else:
            rest = [np.asarray(atom.val, atom.aval.dtype) if isinstance(atom, Literal) else values[atom]
                    for atom in rest]
            outs = bound(equation.primitive, params, [labels[first], *rest])
        labels.update(zip(equation.outvars, outs, strict=True))
    return [labels[flat.eqns[use.site].invars[use.side]] for use in uses.uses]


def chosen_by(flat: FlatJaxpr, uses: Uses) -> list[Any]:
    """Return the variables that choose the places of entries."""
    return [atom for site in uses.followed for atom in flat.eqns[site].invars[1:] if not isinstance(atom, Literal)]
