"""Where a scalar loss is a weighted sum: arrays behind which only sums, means and fixed factors follow.

A change of the loss is the weights' product with the changes of these arrays, the *terms*.  There samples are still
apart, so that entries that feed different ones can be moved together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jax.extend.core import Literal

from ..._types import Array
from ...engines.program.adjoints import summed_to
from .flat import FlatEquation, FlatJaxpr, is_real, shape_of

# Numbers that a term may have.
MOST = 1 << 18
# Values of still variables -> weights of a term.
Weights = Callable[[Mapping[Any, Any]], Array]
# (equation, weights of its output, place of the operand, the other operands' values) -> weights of that operand.
Back = Callable[[FlatEquation, Array, int, Sequence[Any]], Array]


@dataclass(frozen=True)
class CutTerm:
    """A variable that the loss is linear in, with its weights, which still variables make."""

    variable: Any
    weights: Weights


def terms_of(flat: FlatJaxpr, moving: set[Any]) -> tuple[list[CutTerm], list[Any]]:
    """Return the terms of a jaxpr with one number for output, and the still variables that make their weights."""
    made = {variable: equation for equation in flat.eqns for variable in equation.outvars}
    waiting = [CutTerm(flat.outvars[0], lambda values: np.ones(shape_of(flat.outvars[0])))]
    found: list[CutTerm] = []
    needed: list[Any] = []
    while waiting:
        term = waiting.pop()
        equation = made.get(term.variable)
        parts = () if equation is None else _parts(equation, moving)
        if not parts or equation is None:
            found.append(term)
            continue
        needed += [atom for atom in equation.invars if not isinstance(atom, Literal) and atom not in moving]
        waiting += [CutTerm(equation.invars[place], _weights(equation, term.weights, place)) for place in parts]
    return _merged(found), list(dict.fromkeys(needed))


def _parts(equation: FlatEquation, moving: set[Any]) -> tuple[int, ...]:
    """Return the operands that an equation is a weighted sum of; none where it is not, or where that leads too far."""
    name, operands = equation.primitive.name, equation.invars
    places = tuple(k for k, atom in enumerate(operands) if not isinstance(atom, Literal) and atom in moving)
    if name not in BACK or not places or not all(map(is_real, (equation.outvars[0], *(operands[k] for k in places)))):
        return ()
    if max(int(np.prod(shape_of(operands[k]))) for k in places) > MOST:
        return ()
    if len(places) > 1:
        return places if name in ("add", "sub", "add_any") and shape_of(equation.outvars[0]) == () else ()
    return () if (name == "div" and places != (0,)) or (name == "select_n" and places == (0,)) else places


def _weights(equation: FlatEquation, above: Weights, place: int) -> Weights:
    def weights(values: Mapping[Any, Any]) -> Array:
        others = [np.asarray(a.val) if isinstance(a, Literal) else values.get(a) for a in equation.invars]
        found = np.asarray(BACK[equation.primitive.name](equation, above(values), place, others), np.float64)
        return summed_to(found, _operand_shape(equation, place))

    return weights


def _merged(terms: Sequence[CutTerm]) -> list[CutTerm]:
    """Return the terms, those of one variable added up."""
    found: dict[Any, list[Weights]] = {}
    for term in terms:
        found.setdefault(term.variable, []).append(term.weights)
    return [CutTerm(variable, parts[0] if len(parts) == 1 else partial(_sum_of, parts))
            for variable, parts in found.items()]


def _sum_of(parts: Sequence[Weights], values: Mapping[Any, Any]) -> Array:
    return np.asarray(sum(one(values) for one in parts))


def _operand_shape(equation: FlatEquation, place: int) -> tuple[int, ...]:
    return shape_of(equation.invars[place])


def _summed(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    return np.broadcast_to(np.expand_dims(weights, tuple(equation.params["axes"])), _operand_shape(equation, place))


def _reshaped(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    return weights.reshape(_operand_shape(equation, place))


def _transposed(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    return np.transpose(weights, np.argsort(equation.params["permutation"]))


def _broadcast(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    kept = equation.params["broadcast_dimensions"]
    return np.asarray(weights.sum(axis=tuple(k for k in range(weights.ndim) if k not in kept)))


def _same(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    return weights


def _negated(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    return -weights


def _added(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    return -weights if equation.primitive.name == "sub" and place == 1 else weights


def _scaled(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    return weights * np.asarray(others[1 - place], np.float64)


def _divided(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    return weights / np.asarray(others[1], np.float64)


def _selected(equation: FlatEquation, weights: Array, place: int, others: Sequence[Any]) -> Array:
    return np.where(np.asarray(others[0]).astype(np.int64) == place - 1, weights, 0.0)


BACK: dict[str, Back] = {
    "reduce_sum": _summed, "reshape": _reshaped, "squeeze": _reshaped, "expand_dims": _reshaped,
    "transpose": _transposed, "broadcast_in_dim": _broadcast, "convert_element_type": _same, "copy": _same,
    "copy_p": _same, "reduce_precision": _same, "neg": _negated, "add": _added, "sub": _added, "add_any": _added,
    "mul": _scaled, "div": _divided, "select_n": _selected,
}
