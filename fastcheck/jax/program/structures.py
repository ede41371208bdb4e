"""Equations that hold other jaxprs: calls, branches, loops and linear solvers.

Loops and branches follow the path that the values take.  A perturbation that takes another one is noted as a crossing;
its change is known where all branches can be run, and NaN where it is not.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.lax import switch as by_index

from .contents import CALLS, inner_jaxprs
from .evaluation import is_inexact, widened
from .flags import TracedBranches
from .interpreter import MOVES, Interpreter, Moving, Structure


def called(name: str) -> Structure:
    """Return a call, whose jaxpr stands in a parameter of that name."""

    def structure(
        self: Interpreter, equation: Any, operands: Sequence[Moving], branches: TracedBranches
    ) -> list[Moving]:
        inner = equation.params[name]
        notes = branches.inside(custom=equation.primitive.name.startswith("custom_"))
        if isinstance(inner, Jaxpr):
            found = self.run_open(inner, [], operands, notes)
        else:
            found = self.run(inner, operands, notes)
        branches.join(notes.flags)
        return found

    return structure


def cond(self: Interpreter, equation: Any, operands: Sequence[Moving], branches: TracedBranches) -> list[Moving]:
    """Return the branch that an index chooses."""
    (index, d_index), *rest = operands
    cases: tuple[ClosedJaxpr, ...] = equation.params["branches"]
    if equation.params.get("branches_platforms") is not None:
        return self.run(cases[-1], rest, branches)  # the last one is for all other platforms
    given = [change is not None for _, change in rest]
    union = [any(one) for one in zip(*(self.moves(case, rest, given) for case in cases), strict=True)]
    index = jnp.clip(jnp.asarray(index, jnp.int32), 0, len(cases) - 1)
    if d_index is None or not self.exact:
        if d_index is not None:
            union = [True] * len(union)
        runs = [_function(self, case, rest, union, branches) for case in cases]
        return _unpacked(self, by_index(index, runs), union, branches)
    return _switched(self, (index, d_index), (cases, rest), branches)


def _switched(
    self: Interpreter, choice: Moving, options: tuple[Sequence[ClosedJaxpr], Sequence[Moving]], branches: TracedBranches
) -> list[Moving]:
    """Return all branches, where perturbations may choose another one."""
    (index, d_index), (cases, rest) = choice, options
    new = jnp.clip(index + jnp.asarray(jnp.round(d_index), jnp.int32), 0, len(cases) - 1)
    union = [True] * len(cases[0].out_avals)
    if any(_loops(case.jaxpr) for case in cases):
        runs = [_function(self, case, rest, union, branches) for case in cases]
        found = _unpacked(self, by_index(index, runs), union, branches)
        branches.note(new != index)
        return [(value, jnp.where(new != index, jnp.nan, change)) for value, change in found]
    every = [_function(self, case, rest, union, branches)() for case in cases]
    branches.note(new != index)
    crossed, by_kind = (jnp.stack(flags) for flags in zip(*(one[2] for one in every), strict=True))
    branches.join((crossed[index] | crossed[new], jnp.maximum(by_kind[index], by_kind[new])))
    found = []
    for place in range(len(union)):
        values, changes = (jnp.stack([one[part][place] for one in every]) for part in (0, 1))
        gap = values[new] - values[index] if is_inexact(values) else 1.0 * values[new] - 1.0 * values[index]
        found.append((values[index], jnp.where(new == index, changes[index], gap + changes[new])))
    return found


def _loops(jaxpr: Jaxpr) -> bool:
    """Tell whether a jaxpr holds a loop that may not end where nobody meant it to run."""
    return any(
        equation.primitive.name == "while" or any(_loops(inner) for inner in inner_jaxprs(equation))
        for equation in jaxpr.eqns
    )


def _function(
    self: Interpreter, case: ClosedJaxpr, rest: Sequence[Moving], union: Sequence[bool], branches: TracedBranches
) -> Callable[[], Any]:
    """Return a branch as a function that gives its values, the changes of what moves in any branch, and its flags."""

    def run() -> Any:
        inner = branches.inside()
        found = self.run(case, rest, inner)
        found = [self.as_moving(one) if moving else one for one, moving in zip(found, union, strict=True)]
        return (*_apart(self, found, union), inner.flags)

    return run


def _unpacked(self: Interpreter, found: Any, union: Sequence[bool], branches: TracedBranches) -> list[Moving]:
    values, changes, flags = found
    branches.join(flags)
    return _joined(self, values, changes, union)


def scan(self: Interpreter, equation: Any, operands: Sequence[Moving], branches: TracedBranches) -> list[Moving]:
    """Return a loop of fixed length: its carry and its flags go from step to step with their changes."""
    params = equation.params
    body, n, count = params["jaxpr"], params["num_consts"], params["num_carry"]
    constants, carry, rows = operands[:n], operands[n : n + count], operands[n + count :]
    ahead = [c is not None for _, c in constants], [c is not None for _, c in rows]
    first = [(value[0], None) if value.shape[0] else (jnp.zeros(value.shape[1:], value.dtype), None)
             for value, _ in rows]

    def after(moving: list[bool]) -> list[bool]:
        return self.moves(body, [*constants, *carry, *first], [*ahead[0], *moving, *ahead[1]])

    moving, moving_out = _settled(carry, after, count)
    start = [self.as_moving(one) if moves else one for one, moves in zip(carry, moving, strict=True)]

    def step(state: Any, row: Any) -> Any:
        values, changes, flags = state
        inner = branches.inside(flags)
        given = [*constants, *_joined(self, values, changes, moving), *_joined(self, row[0], row[1], ahead[1])]
        found = self.run(body, given, inner)
        state = [self.as_moving(one) if moves else one for one, moves in zip(found[:count], moving, strict=True)]
        out = found[count:]
        return (*_apart(self, state, moving), inner.flags), _apart(self, out, moving_out[count:])

    rows = [self.as_moving(one) if moves else one for one, moves in zip(rows, ahead[1], strict=True)]
    state = (*_apart(self, start, moving), branches.inside().flags)
    (values, changes, flags), out = lax.scan(step, state, _apart(self, rows, ahead[1]), length=params["length"],
                                             reverse=params["reverse"])
    branches.join(flags)
    return [*_joined(self, values, changes, moving), *_joined(self, out[0], out[1], moving_out[count:])]


def _settled(
    carry: Sequence[Moving], after: Callable[[list[bool]], list[bool]], count: int
) -> tuple[list[bool], list[bool]]:
    """Tell which parts of a loop's carry move in the end, and which outputs of its body do then."""
    moving = [change is not None for _, change in carry]
    while True:
        found = after(moving)
        grown = [a or b for a, b in zip(moving, found[:count], strict=True)]
        if grown == moving:
            return moving, found
        moving = grown


def _apart(self: Interpreter, operands: Sequence[Moving], moving: Sequence[bool]) -> tuple[list[Any], list[Any]]:
    """Return values, and the changes of those that move."""
    changes = [change for (_, change), moves in zip(operands, moving, strict=True) if moves and self.exact]
    return [value for value, _ in operands], changes


def _joined(
    self: Interpreter, values: Sequence[Any], changes: Sequence[Any], moving: Sequence[bool]
) -> list[Moving]:
    """Return the inverse of ``_apart``."""
    rest = iter(changes)
    return [(value, (next(rest) if self.exact else MOVES) if moves else None)
            for value, moves in zip(values, moving, strict=True)]


def while_loop(self: Interpreter, equation: Any, operands: Sequence[Moving], branches: TracedBranches) -> list[Moving]:
    """A loop that goes on as long as it does for the values; a perturbation that would end it elsewhere is lost.

    A loop under vmap asks each row: it goes on until all of them have ended, and rows that have ended stay as they are.
    """
    params = equation.params
    m, n = params["cond_nconsts"], params["body_nconsts"]
    test, body = params["cond_jaxpr"], params["body_jaxpr"]
    tested, constants, carry = operands[:m], operands[m : m + n], operands[m + n :]
    ahead = [change is not None for _, change in constants]

    def after(moving: list[bool]) -> list[bool]:
        return self.moves(body, [*constants, *carry], [*ahead, *moving])

    moving, _ = _settled(carry, after, len(carry))
    start = [self.as_moving(one) if moves else one for one, moves in zip(carry, moving, strict=True)]

    def answer(values: Sequence[Any], changes: Sequence[Any]) -> tuple[Any, Any]:
        """Tell whether it goes on, and whether that is different for the perturbation."""
        found = self.run(test, [*tested, *_joined(self, values, changes, moving)], TracedBranches())[0]
        moved = found[1] is not None and self.exact
        return found[0], jnp.any(found[1] != 0.0) if moved else jnp.zeros((), bool)

    def step(state: Any) -> Any:
        values, changes, flags, lost = state
        inner = branches.inside(flags)
        on, differs = answer(values, changes)
        found = self.run(body, [*constants, *_joined(self, values, changes, moving)], inner)
        found = [self.as_moving(one) if moves else one for one, moves in zip(found, moving, strict=True)]
        new_values, new_changes = _apart(self, found, moving)
        values = [_where(on, *pair) for pair in zip(new_values, values, strict=True)]
        changes = [_where(on, *pair) for pair in zip(new_changes, changes, strict=True)]
        return values, changes, inner.flags, lost | differs

    def goes_on(state: Any) -> Any:
        """By the values alone, so that one loop serves all perturbations."""
        given = [*((v, None) for v, _ in tested), *((v, None) for v in state[0])]
        moves = [*(c is not None for _, c in tested), *moving]
        operands = [(value, MOVES if one else None) for (value, _), one in zip(given, moves, strict=True)]
        plain = Interpreter(self.handlers, self.structures, exact=False)
        return jnp.any(plain.run(test, operands, TracedBranches())[0][0])

    state = (*_apart(self, start, moving), branches.inside().flags, jnp.zeros((), bool))
    values, changes, flags, lost = lax.while_loop(goes_on, step, state)
    lost = lost | answer(values, changes)[1]
    branches.join(flags)
    if self.exact:
        branches.note(lost)
        changes = [jnp.where(lost, jnp.nan, change) for change in changes]
    return _joined(self, values, changes, moving)


def _where(on: Any, new: Any, old: Any) -> Any:
    """Return the rows of one array where a loop goes on, and of another where it has ended."""
    if not jnp.ndim(on):
        return new
    return jnp.where(jnp.reshape(on, on.shape + (1,) * (jnp.ndim(new) - on.ndim)), new, old)


def linear_solve(
    self: Interpreter, equation: Any, operands: Sequence[Moving], branches: TracedBranches
) -> list[Moving]:
    """x of A x = b for a linear function A: (A + dA)^-1 (db - dA x).

    Iterative solvers take what is far smaller than b for nothing: they solve for a multiple that is as large as b.
    """
    lengths, jaxprs = equation.params["const_lengths"], equation.params["jaxprs"]
    start = lengths.matvec + lengths.vecmat
    matvec, solve = operands[: lengths.matvec], operands[start : start + lengths.solve]
    right = [self.as_moving(one) for one in operands[sum(lengths) :]]
    plain = Interpreter(self.handlers, self.structures, exact=False)

    def solved(at: Sequence[Moving], b: Sequence[Any]) -> list[Any]:
        given = [(widened(v), MOVES) if is_inexact(v) else (v, None) for v, _ in at]
        return [value for value, _ in plain.run(jaxprs.solve, [*given, *((v, MOVES) for v in b)], TracedBranches())]

    x = solved(solve, [value for value, _ in right])
    if not self.exact:
        return [(value, MOVES) for value in x]
    residual = [change for _, change in right]
    if any(change is not None for _, change in matvec):
        turned = self.run(jaxprs.matvec, [*matvec, *((value, None) for value in x)], branches)
        residual = [r if d is None else r - d for r, (_, d) in zip(residual, turned, strict=True)]
    moved = [(v if c is None else (v + c if is_inexact(v) else v), None) for v, c in solve]
    b, small = (_largest(part) for part in ([value for value, _ in right], residual))
    usual = (small > 0.0) & (b > 0.0)
    factor = jnp.exp2(jnp.round(jnp.log2(jnp.where(usual, b / jnp.where(usual, small, 1.0), 1.0))))
    found = solved(moved, [factor * one for one in residual])
    name = equation.primitive.name
    return [(value, self.off(name, value, change / factor)) for value, change in zip(x, found, strict=True)]


def _largest(arrays: Sequence[Any]) -> Any:
    """Return the size of the largest entry."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(one), initial=0.0) for one in arrays]))


STRUCTURES: dict[str, Structure] = {
    **{name: called(parameter) for name, parameter in CALLS.items()},
    "cond": cond, "scan": scan, "while": while_loop, "custom_linear_solve": linear_solve,
}
