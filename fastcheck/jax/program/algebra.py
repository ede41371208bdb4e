"""Factorisations and solvers of matrices.

Rules that loop over rows or write to entries are run with NumPy, which compiled code calls.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..._errors import NoRule
from ...rules.table import RULES
from .call import Call, Handler
from .evaluation import zeros

# (values, changes, outputs) as NumPy arrays -> changes of the outputs, in order.
HostRule = Callable[[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]], tuple[Any, ...]]


def hosted(rule: HostRule, values: Sequence[Any], changes: Sequence[Any], outs: Sequence[Any]) -> list[Any]:
    """Changes of ``outs`` by a rule that runs outside of compiled code; batches are its arrays' leading axes.

    JAX halves the precision of what it hands to another thread, for the caller's setting holds there; so numbers go
    there and back as pairs of integers.
    """
    moving = [k for k, change in enumerate(changes) if change is not None]
    still = (*values, *outs)
    ranks, types = [value.ndim for value in still], [value.dtype for value in still]
    types += [values[k].dtype for k in moving]

    def run(*given: Any) -> tuple[Any, ...]:
        arrays = [_unpacked(array, dtype) for array, dtype in zip(given, types, strict=True)]
        fixed = [a.reshape(a.shape[a.ndim - rank :]) for a, rank in zip(arrays, ranks, strict=False)]
        full: list[Any] = [None] * len(values)
        for place, change in zip(moving, arrays[len(ranks) :], strict=True):
            full[place] = change
        first = arrays[len(ranks)]
        lead = first.shape[: first.ndim - ranks[moving[0]]]
        with np.errstate(all="ignore"):
            found = rule(tuple(fixed[: len(values)]), tuple(full), tuple(fixed[len(values) :]))
        return tuple(_halves(np.broadcast_to(change, lead + out.shape).astype(out.dtype, copy=False))
                     for change, out in zip(found, fixed[len(values) :], strict=True))

    shapes = tuple(jax.ShapeDtypeStruct((*out.shape, out.dtype.itemsize // 4), jnp.uint32) for out in outs)
    given = [_packed(array) for array in (*still, *(changes[k] for k in moving))]
    found = jax.pure_callback(run, shapes, *given, vmap_method="expand_dims")
    return [_numbers(pairs, out.dtype) for pairs, out in zip(found, outs, strict=True)]


def _packed(array: Any) -> Any:
    """Return numbers in double precision as integers of 32 bits, along a new last axis."""
    if jnp.iscomplexobj(array):
        array = jnp.stack([array.real, array.imag], axis=-1)
        return lax.bitcast_convert_type(array, jnp.uint32).reshape((*array.shape[:-1], 4))
    return lax.bitcast_convert_type(array, jnp.uint32)


def _numbers(pairs: Any, dtype: Any) -> Any:
    """Return the inverse of ``_packed``."""
    if jnp.issubdtype(dtype, jnp.complexfloating):
        real = lax.bitcast_convert_type(pairs.reshape((*pairs.shape[:-1], 2, 2)), jnp.float64)
        return lax.complex(real[..., 0], real[..., 1])
    return lax.bitcast_convert_type(pairs, jnp.float64)


def _unpacked(pairs: Any, dtype: Any) -> Any:
    """Return the inverse of ``_packed``, outside of compiled code."""
    return np.ascontiguousarray(np.asarray(pairs)).view(dtype)[..., 0]


def _halves(array: Any) -> Any:
    return np.ascontiguousarray(array)[..., None].view(np.uint32)


def by_name(name: str, values: Any, changes: Any, outs: Any, **options: Any) -> tuple[Any, ...]:
    """Return the rule of ``fastcheck.rules`` with that name, as a rule for ``hosted``."""
    out = outs if len(outs) > 1 else outs[0]
    found = RULES[name].change(np, values, changes, out, None, **options)
    return found if isinstance(found, tuple) else (found,)


def with_numpy(name: str) -> Handler:
    """Return a function of single numbers whose rule looks at them."""
    return lambda call: hosted(partial(by_name, name), call.values, call.changes, call.outputs)[0]


def cholesky(call: Call) -> Any:
    """Return the lower factor, above which the primitive leaves what it likes."""
    return jnp.tril(hosted(partial(by_name, "cholesky"), call.values, call.changes, [jnp.tril(call.out)])[0])


def eigh(call: Call) -> Any:
    """Eigenvectors and eigenvalues of symmetric matrices."""
    if call.params.get("subset_by_index") is not None or not call.params["sort_eigenvalues"]:
        raise NoRule("lax.linalg.eigh of some eigenvalues, or in another order")
    v, w = call.outputs
    a, da = call.values[0], call.changes[0]
    if not call.params["lower"]:
        a, da = jnp.swapaxes(a, -1, -2), jnp.swapaxes(da, -1, -2)
    dw, dv = hosted(partial(by_name, "eigh"), [a], [da], [w, v])
    return [dv, dw]


def svd(call: Call) -> Any:
    """Singular values, and singular vectors where they are wanted."""
    if not call.params["compute_uv"]:
        return hosted(partial(by_name, "svdvals"), call.values, call.changes, call.outputs)
    if call.params["full_matrices"] and call.values[0].shape[-1] != call.values[0].shape[-2]:
        raise NoRule("lax.linalg.svd with full_matrices=True", "use full_matrices=False")
    s, u, vt = call.outputs
    du, ds, dvt = hosted(partial(by_name, "svd"), call.values, call.changes, [u, s, vt])
    return [ds, du, dvt]


def tridiagonal_solve(call: Call) -> Any:
    """Return T^-1 b: (T + dT) dx = db - dT x, where T is given by its diagonals, lower first."""
    *moves, rest = (zeros(v) if d is None else d for v, d in zip(call.values, call.changes, strict=True))
    below, on, above = (move[..., None] for move in moves)
    x = call.out
    rest = rest - on * x
    rest = rest.at[..., 1:, :].add(-below[..., 1:, :] * x[..., :-1, :])
    rest = rest.at[..., :-1, :].add(-above[..., :-1, :] * x[..., 1:, :])
    return call.again(*(diagonal + move for diagonal, move in zip(call.values, moves, strict=False)), rest)


def lu(call: Call) -> Any:
    """Return both factors in one matrix; rows are exchanged as they are for the values."""
    found, pivots, permutation = call.outputs
    order = permutation[..., None]
    values = jnp.take_along_axis(call.values[0], order, -2)
    changes = jnp.take_along_axis(call.changes[0], jnp.broadcast_to(order, (*call.changes[0].shape[:-1], 1)), -2)
    change = hosted(partial(by_name, "lu"), [values], [changes], [found])[0]
    return [change, *(None for _ in (pivots, permutation))]


def qr(call: Call) -> Any:
    """Return an orthogonal and a triangular factor."""
    rows, columns = call.values[0].shape[-2:]
    if jnp.iscomplexobj(call.values[0]) or call.params["pivoting"] or rows < columns or (
            call.params["full_matrices"] and rows > columns):
        raise NoRule("lax.linalg.qr of complex or wide matrices, with pivoting, or with full_matrices=True",
                     'use mode="reduced"')
    return hosted(partial(by_name, "qr"), call.values, call.changes, call.outputs)


def triangular_solve(call: Call) -> Any:
    """X of A X = B or X A = B, of whose A one triangle counts: (A + dA)^-1 (dB - dA X)."""
    (a, _), (da, db) = call.values, call.changes
    if da is None:
        return call.again(a, db)
    params = call.params
    part = jnp.tril if params["lower"] else jnp.triu
    inner = part(da, -1 if params["lower"] else 1) if params["unit_diagonal"] else part(da)
    if params["conjugate_a"]:
        inner = jnp.conj(inner)
    inner = jnp.swapaxes(inner, -1, -2) if params["transpose_a"] else inner
    turned = inner @ call.out if params["left_side"] else call.out @ inner
    return call.again(a + da, -turned if db is None else db - turned)
