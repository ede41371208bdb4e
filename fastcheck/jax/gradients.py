"""JAX's door: ``check_grads`` in place of jax.test_util's.

All of the Jacobian is compared, in double precision, entry by entry; that of large functions along random directions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._constants import UNIT_ROUNDOFF
from .._errors import NondeterministicError
from .._types import Array, Indices
from .._validation import integer, positive
from ..checks.jacobian.judge import compare, numerical_jacobian
from ..checks.jacobian.point import Part, Point, Tolerances
from ..problems.parameters.sampling import random_direction
from ..problems.parameters.tensor import Tensor

MODES = ("fwd", "rev", "lin")
EPS = 1e-4
# JAX's tolerances for gradients, by the precision that the function really works in.
TOLERANCES = {"float64": 1e-5, "float32": 2e-3, "float16": 1e-2, "bfloat16": 1e-1}
# A Jacobian of so many entries is compared whole; a larger one along so many random directions.
WHOLE, DIRECTIONS = 1 << 22, 8
# Bytes that one stack of moved arguments may take; and the relative distance that rounding leaves along a direction.
STACK_BYTES, AGREE = 8 << 20, 1e-6


def check_grads(
    f: Callable[..., Any], args: Sequence[Any], order: int, modes: Sequence[str] = ("fwd", "rev"), atol: Any = None,
    rtol: Any = None, eps: float | None = None,
) -> None:
    """Check gradients made by JAX against differences, as ``jax.test_util.check_grads`` does.

    Parameters
    ----------
    f : takes the arguments, returns arrays in any structure.  It is run in double precision, whatever the caller's
        setting, which is left alone.
    args : arrays and numbers in any structure; those that are floating or complex are checked.
    order : derivatives up to this order.
    modes : "fwd" and "rev", as in JAX; "lin" for jax.linearize.
    atol, rtol : |derivative - numerical| <= atol + rtol |numerical|; numbers, or dictionaries by dtype.  By default
        JAX's for the precision that the outputs have.  Of atol no more counts than a hundredth of the largest
        derivative of that output by that argument.
    eps : the first step, 1e-4; entries that disagree are looked at again with steps of their own.

    Raises
    ------
    AssertionError : naming output, argument, index, both values, and what is wrong where that can be told.
    NondeterministicError : if f gives two values for the same arguments.
    ValueError, TypeError : for modes, orders and arguments that do not fit.

    Notes
    -----
    Values that are not finite fail.  Jacobians of more than four million entries are compared along random directions.

    Examples
    --------
    >>> check_grads(jnp.sin, (np.ones(3),), order=2)
    """
    for mode in (modes := tuple(modes)):
        if mode not in MODES:
            raise ValueError(f"modes: {mode!r} found, wanted some of {', '.join(MODES)}")
    integer("order", order, 1)
    step = EPS if eps is None else positive("eps", eps)
    with jax.enable_x64(True):
        wide = jax.tree.map(_wide, tuple(args))
        _check(f, wide, order, modes, (atol, rtol, step), "")


def _check(
    f: Callable[..., Any], args: tuple[Any, ...], order: int, modes: tuple[str, ...], limits: tuple[Any, Any, float],
    path: str,
) -> None:
    """One order in all modes, then the next order of each mode's derivative."""
    function = Flat(f, args)
    g, wide = function.of_floating, tuple(function.given[place] for place in function.moving)
    further: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "fwd": (lambda primals, tangents: jax.jvp(g, primals, tangents), (wide, wide)),
        "rev": (lambda *given: _pulled_back(g, *given), wide),
        "lin": (lambda primals, tangents: _linearized(g, primals, tangents), (wide, wide)),
    }
    for mode in modes:
        name = {"fwd": "JVP", "rev": "VJP", "lin": "LIN"}[mode] + (f" of {path}" if path else "")
        _compare(function, mode, limits, name)
        if order > 1:
            _check(*further[mode], order - 1, modes, limits, name)


def _pulled_back(f: Callable[..., Any], *args: Any) -> Any:
    value, backward = jax.vjp(f, *args)
    return backward(value)


def _linearized(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    value, forward = jax.linearize(f, *primals)
    return value, forward(*tangents)


def _compare(function: "Flat", mode: str, limits: tuple[Any, Any, float], name: str) -> None:
    point, size = function.point, function.point.value.size * function.point.theta.size
    tolerances = Tolerances(_tolerance(limits[0], function.dtype), _tolerance(limits[1], function.dtype), limits[2])
    if size > WHOLE:
        _along(function, mode, tolerances, name)
        return
    analytical = function.by_columns(mode) if mode != "rev" else function.by_rows()
    found = compare(point, analytical, numerical_jacobian(point, tolerances.eps), tolerances)
    if found is not None:
        raise AssertionError(f"{name}: {found}")


def _along(function: "Flat", mode: str, limits: Tolerances, name: str) -> None:
    """Compare a Jacobian that is too large to be made along random directions."""
    generator, point = np.random.default_rng(0), function.point
    for _ in range(DIRECTIONS):
        u, v = (random_direction(generator, n) for n in (point.theta.size, point.value.size))
        above, below = (function.at(point.theta + sign * limits.eps * u) for sign in (1.0, -1.0))
        rise = (above - below) / (2.0 * limits.eps)
        if mode == "rev":
            parts, given = function.pull(v) * u, np.array([v @ rise])
            noise = np.array([np.linalg.norm(v * point.value)])
            sums, scale = np.array([parts.sum()]), np.array([np.linalg.norm(parts)])
        else:
            sums, given = function.push(u, mode), rise
            noise, scale = np.abs(point.value), np.abs(rise) + np.linalg.norm(rise) / max(rise.size, 1) ** 0.5
        # Steps along all axes at once leave a share of eps squared; rtol is for single entries and would hide them.
        allowed = 8.0 * UNIT_ROUNDOFF * noise / limits.eps + max(AGREE, 1e2 * limits.eps**2) * scale
        wrong = ~((np.abs(sums - given) <= allowed) & np.isfinite(allowed))
        if wrong.any():
            row = int(np.argmax(wrong))
            where = "of all outputs" if mode == "rev" else f"of {point.output_of(row).name}"
            raise AssertionError(
                f"{name}: mismatch along a random direction {where}: derivative {sums[row]:.9g}, numerical "
                f"{given[row]:.9g}. The Jacobian has {point.value.size * point.theta.size:,} entries; check a smaller "
                "example to learn which of them are wrong"
            )


def _tolerance(given: Any, dtype: str) -> float:
    """A tolerance for outputs of a precision, from what the caller gave."""
    if isinstance(given, dict):
        by_name = {str(jnp.dtype(key)): value for key, value in given.items()}
        given = by_name.get(dtype)
    return TOLERANCES.get(dtype, TOLERANCES["float64"]) if given is None else float(given)


def _wide(value: Any) -> Any:
    """Floating and complex numbers in double precision."""
    array = value if hasattr(value, "dtype") else np.asarray(value)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        return jnp.asarray(array, jnp.complex128)
    return jnp.asarray(array, jnp.float64) if jnp.issubdtype(array.dtype, jnp.floating) else value


@dataclass(frozen=True)
class _Leaf:
    """Where an array lies in a vector of real numbers."""

    shape: tuple[int, ...]
    start: int
    stop: int
    is_complex: bool
    dtype: Any

    def of(self, vector: Any) -> Any:
        """The array, from a vector."""
        numbers = vector[self.start : self.stop]
        if self.is_complex:
            pairs = numbers.reshape(*self.shape, 2)
            return (pairs[..., 0] + 1j * pairs[..., 1]).astype(self.dtype)
        return numbers.reshape(self.shape).astype(self.dtype)


class Flat:
    """A function of structures as a function of one vector of real numbers, with its derivatives.

    Attributes
    ----------
    point : where it is checked.
    dtype : the lowest precision among its outputs.
    """

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...]) -> None:
        leaves, self.tree = jax.tree.flatten(args)
        self.f, self.given = f, leaves
        self.moving = [k for k, leaf in enumerate(leaves) if _is_floating(leaf)]
        if not self.moving:
            raise ValueError("args: no floating or complex array found, so there is nothing to check")
        names = [_name(path) for path, _ in jax.tree_util.tree_flatten_with_path(args)[0]]
        self.leaves, inputs = _laid_out([(names[k], leaves[k]) for k in self.moving])
        value = f(*args)
        paths = jax.tree_util.tree_flatten_with_path(value)[0]
        self.kept = [k for k, (_, leaf) in enumerate(paths) if _is_floating(leaf)]
        if not self.kept:
            raise ValueError("f: returned no floating or complex array, so there is nothing to check")
        named = [("output" + _name(paths[k][0], ""), paths[k][1]) for k in self.kept]
        self.out, outputs = _laid_out(named)
        self.dtype = min((jnp.finfo(leaf.dtype).dtype for _, leaf in named), key=lambda d: jnp.finfo(d).bits).name
        self._rows = jax.jit(jax.vmap(self._moved, in_axes=(0, 0, None)))
        theta = np.asarray(_joined([leaves[k] for k in self.moving]), dtype=np.float64)
        found = np.asarray(_joined([leaf for _, leaf in named]), dtype=np.float64)
        self.point = Point(self, theta, found, inputs, outputs)
        self._require_function(found)

    def _require_function(self, found: Array) -> None:
        again = np.asarray(self(jnp.asarray(self.point.theta)), dtype=np.float64)
        broken = np.flatnonzero(~np.isfinite(found))
        if broken.size:
            part = self.point.output_of(int(broken[0]))
            raise AssertionError(f"{part.name}{part.place(int(broken[0]))} is {found[broken[0]]} at these arguments: "
                                 "there is no derivative to check; check arguments at which f is finite")
        scale = np.max(np.abs(found), initial=0.0)
        if np.max(np.abs(again - found), initial=0.0) > 1e3 * float(jnp.finfo(self.dtype).eps) * scale:
            raise NondeterministicError("f is random: two calls with the same arguments differ. Draw its random "
                                        "numbers from a key that is fixed inside, or passed as an argument")

    def of_floating(self, *values: Any) -> Any:
        """What f returns for its floating arguments, the others being as they were given."""
        leaves = list(self.given)
        for place, value in zip(self.moving, values, strict=True):
            leaves[place] = value
        return self.f(*jax.tree.unflatten(self.tree, leaves))

    def __call__(self, vector: Any) -> Any:
        """The outputs (M,) at a vector (n,)."""
        out = jax.tree.leaves(self.of_floating(*(leaf.of(vector) for leaf in self.leaves)))
        return _joined([out[k] for k in self.kept])

    def _moved(self, position: Any, value: Any, theta: Any) -> Any:
        return self(theta.at[position].set(value))

    def outputs_at(self, positions: Indices, values: Array) -> Array:
        """Outputs (k, M) with one entry moved each, in stacks."""
        theta = jnp.asarray(self.point.theta)
        each = 8 * (self.point.theta.size + self.point.value.size)
        rows = int(max(1, min(positions.size, STACK_BYTES // each)))
        out = np.empty((positions.size, self.point.value.size))
        for start in range(0, positions.size, rows):
            block = slice(start, min(start + rows, positions.size))
            fill = rows - (block.stop - block.start)  # every stack of one size: compiled once
            some, to = (np.pad(part[block], (0, fill), mode="edge") for part in (positions, values))
            out[block] = np.asarray(self._rows(some, to, theta))[: rows - fill]
        return out

    def rounded(self, positions: Indices, values: Array) -> Array:
        """Arguments are in double precision."""
        return values

    def at(self, theta: Array) -> Array:
        """Outputs (M,) at another vector."""
        return np.asarray(self(jnp.asarray(theta)), dtype=np.float64)

    def push(self, u: Array, mode: str) -> Array:
        """Jacobian @ u by forward mode."""
        theta, tangent = jnp.asarray(self.point.theta), jnp.asarray(u)
        if mode == "lin":
            return np.asarray(jax.linearize(self, theta)[1](tangent), dtype=np.float64)
        return np.asarray(jax.jvp(self, (theta,), (tangent,))[1], dtype=np.float64)

    def pull(self, v: Array) -> Array:
        """v @ Jacobian by reverse mode."""
        return np.asarray(jax.vjp(self, jnp.asarray(self.point.theta))[1](jnp.asarray(v))[0], dtype=np.float64)

    def by_columns(self, mode: str) -> Array:
        """The Jacobian (M, n) by forward mode."""
        theta = jnp.asarray(self.point.theta)
        push = jax.linearize(self, theta)[1] if mode == "lin" else lambda u: jax.jvp(self, (theta,), (u,))[1]
        return _stacked(push, theta.size).T

    def by_rows(self) -> Array:
        """The Jacobian (M, n) by reverse mode."""
        backward = jax.vjp(self, jnp.asarray(self.point.theta))[1]
        return _stacked(lambda v: backward(v)[0], self.point.value.size)


def _stacked(apply: Callable[[Any], Any], size: int) -> Array:
    """A linear function of all unit vectors, in stacks; one by one where it cannot be stacked."""
    rows, found = max(1, min(size, STACK_BYTES // (8 * size))), []
    for start in range(0, size, rows):
        some = jnp.zeros((min(rows, size - start), size)).at[jnp.arange(min(rows, size - start)),
                                                           jnp.arange(start, min(start + rows, size))].set(1.0)
        found.append(np.asarray(jax.vmap(apply)(some), dtype=np.float64))
    return np.concatenate(found)


def _is_floating(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)


def _joined(leaves: Sequence[Any]) -> Any:
    """Arrays end to end as real numbers; real and imaginary parts next to each other."""
    flat = [jnp.stack([leaf.real, leaf.imag], axis=-1).reshape(-1) if jnp.iscomplexobj(leaf) else leaf.reshape(-1)
            for leaf in map(jnp.asarray, leaves)]
    return jnp.concatenate([part.astype(jnp.float64) for part in flat])


def _laid_out(named: Sequence[tuple[str, Any]]) -> tuple[list[_Leaf], tuple[Part, ...]]:
    leaves, found, start = [], [], 0
    for name, leaf in named:
        is_complex = bool(jnp.issubdtype(leaf.dtype, jnp.complexfloating))
        stop = start + int(leaf.size) * (2 if is_complex else 1)
        leaves.append(_Leaf(tuple(leaf.shape), start, stop, is_complex, leaf.dtype))
        shape = (*leaf.shape, 2) if is_complex else tuple(leaf.shape)
        found.append(Part(Tensor(name, shape, start, stop), is_complex, float(jnp.finfo(leaf.dtype).eps) / 2.0))
        start = stop
    return leaves, tuple(found)


def _name(path: Any, first: str = "arg") -> str:
    """arg0, arg0['w'], ..."""
    if first and path:
        return f"{first}{getattr(path[0], 'idx', path[0])}" + jax.tree_util.keystr(path[1:])
    return jax.tree_util.keystr(path)
