"""A JAX function at one point, of real arrays: its value, its derivatives by JAX, and its exact differences."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import NoRule, in_short
from .._types import Array
from ..checks.jacobian.point import Part
from ..problems.parameters.tensor import Tensor
from .program.contents import has_custom_rules, largest_array, lowest_precision
from .program.program import JaxProgram
from .program.traced import Traced, traced

# Bytes that one stack of tangents or cotangents may take, counting the largest array on the way.
STACK_BYTES = 32 << 20
# The value that comes with a derivative may differ from the function's by this many roundings of the largest output.
SAME_VALUE = 1e3

Mode = Literal["jvp", "linearize", "vjp"]


class WrongDerivativeError(AssertionError):
    """A derivative, or what is differentiated, is wrong: our own, apart from what a function asserts."""


class CannotDifferentiateError(Exception):
    """JAX's own differentiation failed; the cause is what it raised."""


@dataclass(frozen=True)
class Leaf:
    """One floating array of a pytree, complex numbers as pairs of real ones."""

    name: str
    shape: tuple[int, ...]
    dtype: Any

    @property
    def is_complex(self) -> bool:
        """Whether it holds complex numbers."""
        return bool(jnp.issubdtype(self.dtype, jnp.complexfloating))

    def assembled(self, real: Any) -> Any:
        """Return the array, from real numbers."""
        return jax.lax.complex(real[..., 0], real[..., 1]) if self.is_complex else real


def as_real(array: Any) -> Any:
    """Return an array as real numbers; real and imaginary parts along a last axis."""
    array = jnp.asarray(array)
    return jnp.stack([array.real, array.imag], axis=-1) if jnp.iscomplexobj(array) else array


def is_floating(leaf: Any) -> bool:
    """Tell whether it is an array of real or complex numbers."""
    return hasattr(leaf, "dtype") and bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


@dataclass(repr=False)  # JAX asks every function that it traces for its representation
class JaxFunction:
    """A function of pytrees as one of real arrays, at one point.

    Parameters
    ----------
    f, args : the function and what it is called with; floating arrays and numbers among them are moved.
    owner : the function that compiled code is kept for.
    wide : whether it is run in double precision.

    Raises
    ------
    ValueError : where nothing floating goes in or comes out.
    Whatever f raises.
    """

    f: Callable[..., Any]
    args: tuple[Any, ...]
    owner: Any
    wide: bool
    inputs: list[Leaf] = field(init=False)
    outputs: list[Leaf] = field(init=False)
    reason: str = field(init=False, default="")

    def __post_init__(self) -> None:
        with self.precision():
            paths, self._tree = jax.tree_util.tree_flatten_with_path(self.args)
            leaves = [self._numbers(leaf) for _, leaf in paths]
            self._given = leaves
            self.moving = [k for k, leaf in enumerate(leaves) if is_floating(leaf)]
            if not self.moving:
                raise ValueError("args: expected floating or complex arrays, got none; there is nothing to check")
            self.inputs = [Leaf(named(paths[k][0]), tuple(leaves[k].shape), leaves[k].dtype) for k in self.moving]
            self.real = tuple(as_real(leaves[k]) for k in self.moving)
            self._found = self._called()

    def _numbers(self, leaf: Any) -> Any:
        """Python's floats as arrays; in double precision where that is wanted."""
        if isinstance(leaf, (float, complex)) and not isinstance(leaf, np.generic):
            leaf = jnp.asarray(leaf)
        if not is_floating(leaf):
            return leaf
        if not self.wide:
            return jnp.asarray(leaf)
        return jnp.asarray(leaf, jnp.complex128 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else jnp.float64)

    @contextlib.contextmanager
    def precision(self) -> Iterator[None]:
        """Double precision where it is wanted; the caller's own settings otherwise."""
        if not self.wide:
            yield
            return
        with jax.enable_x64(True):
            yield

    def _called(self) -> list[Array]:
        """Return the floating outputs by a plain call."""
        value = self.of_leaves(*(leaf.assembled(r) for leaf, r in zip(self.inputs, self.real, strict=True)))
        paths = jax.tree_util.tree_flatten_with_path(value)[0]
        self._kept = [k for k, (_, leaf) in enumerate(paths) if is_floating(leaf)]
        if not self._kept:
            raise ValueError("f: expected floating or complex outputs, got none; there is nothing to check")
        self.outputs = [Leaf("output" + jax.tree_util.keystr(paths[k][0]), tuple(paths[k][1].shape), paths[k][1].dtype)
                        for k in self._kept]
        return [np.asarray(as_real(paths[k][1]), np.float64) for k in self._kept]

    def of_leaves(self, *leaves: Any) -> Any:
        """Return what f returns for its floating arguments, the others being as they were given."""
        given = list(self._given)
        for place, leaf in zip(self.moving, leaves, strict=True):
            given[place] = leaf
        return self.f(*jax.tree.unflatten(self._tree, given))

    def __call__(self, *real: Any) -> tuple[Any, ...]:
        """Return the floating outputs as real arrays, for real arrays."""
        value = self.of_leaves(*(leaf.assembled(r) for leaf, r in zip(self.inputs, real, strict=True)))
        leaves = jax.tree.leaves(value)
        return tuple(as_real(leaves[k]) for k in self._kept)

    def at(self, theta: Array) -> Array:
        """Return the outputs (M,) at another point, by a plain call."""
        with self.precision():
            return joined(self(*self.apart(theta)))

    def by_input(self, rows: Array) -> list[Array]:
        """Return vectors (k, n) input by input: (k, *shape) each."""
        parts = np.split(rows, np.cumsum([r.size for r in self.real])[:-1], axis=1)
        return [part.reshape(len(rows), *r.shape) for part, r in zip(parts, self.real, strict=True)]

    def apart(self, theta: Any) -> list[Any]:
        """Return a vector (n,) as the real arrays that the function takes."""
        parts = np.split(np.asarray(theta), np.cumsum([r.size for r in self.real])[:-1])
        with self.precision():
            return [jnp.asarray(part.reshape(r.shape), r.dtype) for part, r in zip(parts, self.real, strict=True)]

    def rename(self, names: Sequence[str]) -> None:
        """Give the inputs other names."""
        self.inputs = [replace(leaf, name=name) for leaf, name in zip(self.inputs, names, strict=True)]

    @cached_property
    def value(self) -> Array:
        """Outputs (M,)."""
        return joined(self._found)

    @cached_property
    def theta(self) -> Array:
        """Inputs (n,)."""
        return joined(self.real)

    def parts(self) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        """Where inputs and outputs lie in their vectors."""
        return _parts(self.inputs), _parts(self.outputs)

    @cached_property
    def traced(self) -> Traced | None:
        """The function as a jaxpr; None, and ``reason``, where it cannot be traced."""
        try:
            with self.precision():
                return traced(self, self.real, self.owner)
        except Exception as error:  # whatever the function does with tracers: it is then called in the plain way
            self.reason = in_short(error)
            return None

    @cached_property
    def dtype(self) -> str:
        """The lowest precision that the function works in, as far as that is known."""
        types = [leaf.dtype for leaf in self.outputs] + ([] if self.wide else [leaf.dtype for leaf in self.inputs])
        found = [jnp.finfo(dtype).dtype for dtype in types]
        if self.traced is not None:
            found += lowest_precision(self.traced.jaxpr.jaxpr)
        return str(min(found, key=lambda dtype: jnp.finfo(dtype).bits).name)

    @cached_property
    def unit(self) -> float:
        """The unit roundoff of that precision."""
        return float(jnp.finfo(self.dtype).eps) / 2.0

    def program(self, rows: int | None = None) -> JaxProgram:
        """Its exact differences, of ``rows`` perturbations at a time where that is given.

        Raises
        ------
        NoRule : where it has none.
        """
        if self.traced is None:
            raise NoRule(f"a function that JAX cannot trace ({self.reason})")
        return JaxProgram(self.traced, self.real, range(len(self.real)), rows)

    def columns(self, directions: Array, *, linearize: bool) -> Array:
        """Jacobian @ v (k, M) for directions (k, n), by forward mode."""
        return self._stacked("linearize" if linearize else "jvp", directions, self.real)

    def rows(self, cotangents: Array) -> Array:
        """v @ Jacobian (k, n) for cotangents (k, M), by reverse mode."""
        return self._stacked("vjp", cotangents, self._outputs_like)

    @property
    def _outputs_like(self) -> list[Any]:
        return [jax.ShapeDtypeStruct(found.shape, jnp.finfo(leaf.dtype).dtype)
                for found, leaf in zip(self._found, self.outputs, strict=True)]

    def _stacked(self, mode: Mode, vectors: Array, like: Sequence[Any]) -> Array:
        """Return a linear function of many vectors: by compiled code, or a call for each where it cannot be stacked."""
        if not len(vectors) or not vectors.size:
            return np.zeros((len(vectors), self.theta.size if mode == "vjp" else self.value.size))
        with self.precision():
            rows = self._rows(vectors, like)
            try:
                size = max(1, min(len(vectors), STACK_BYTES // (8 * max(vectors.shape[1], self.theta.size,
                                                                       self._largest))))
                run = self._compiled(mode, [part[:size] for part in rows])
                found = [self._block(run, [part[k : k + size] for part in rows], size)
                         for k in range(0, len(vectors), size)]
                return np.concatenate(found)[: len(vectors)]
            except WrongDerivativeError:
                raise
            except Exception:  # whatever the user's rules do with tracers
                return self._one_by_one(partial(image_of, mode, self), rows, len(vectors))

    @property
    def _largest(self) -> int:
        """Numbers in the largest array on the way, as far as that is known."""
        return 1 if self.traced is None else largest_array(self.traced.jaxpr.jaxpr)

    def _compiled(self, mode: Mode, rows: Sequence[Any]) -> Callable[..., Any]:
        """Return a mode's images of many vectors: (*point, *vectors) -> (*value, *images), flat.

        Where no custom rule takes part, a function's derivative is that of its jaxpr, and need not be traced again.
        """
        if self.traced is None or has_custom_rules(self.traced.jaxpr.jaxpr):
            return traced(partial(_images, mode, self), (self.real, rows), self.owner)
        plain = self.traced

        def of_jaxpr(constants: Any, *flat: Any) -> Any:
            function = partial(jax.core.eval_jaxpr, plain.jaxpr.jaxpr, constants)
            return _images(mode, function, flat[: len(self.real)], flat[len(self.real) :])

        run = plain.once((mode, len(rows[0])), lambda: jax.jit(of_jaxpr))
        return partial(run, plain.constants)

    def _block(self, run: Callable[..., Any], rows: Sequence[Any], size: int) -> Array:
        fill = size - len(rows[0])
        filled = [np.concatenate([part, np.zeros((fill, *part.shape[1:]), part.dtype)]) if fill else part
                  for part in rows]
        found = run(*self.real, *filled)
        self._require_value(found[: len(self.outputs)])
        found = found[len(self.outputs) :]
        return np.concatenate([np.asarray(part, np.float64).reshape(size, -1) for part in found], axis=1)

    def _one_by_one(self, apply: Callable[[Any, Any], Any], rows: Sequence[Any], count: int) -> Array:
        images = []
        for k in range(count):
            try:
                value, image = apply(self.real, [jnp.asarray(part[k]) for part in rows])
            except Exception as error:
                raise CannotDifferentiateError from error
            self._require_value(value)
            images.append(joined(image))
        return np.stack(images)

    def _require_value(self, value: Sequence[Any]) -> None:
        """Raise WrongDerivativeError where differentiating a function gives another value than calling it."""
        found, called = joined(value), self.value
        scale = float(np.max(np.abs(called), initial=0.0))
        with np.errstate(invalid="ignore"):
            apart = ~(np.abs(found - called) <= SAME_VALUE * self.unit * scale)
        if apart.any():
            row = int(np.argmax(apart))
            part = next(part for part in self.parts()[1] if row < part.tensor.stop)
            raise WrongDerivativeError(
                f"value mismatch: {part.name}{part.place(row)} is {found[row]:.9g} where the function is "
                f"differentiated, and {called[row]:.9g} where it is called: a custom rule's forward pass computes "
                "something else"
            )

    def _rows(self, vectors: Array, like: Sequence[Any]) -> list[Any]:
        parts = np.split(vectors, np.cumsum([int(np.prod(one.shape)) for one in like])[:-1], axis=1)
        return [part.reshape((len(vectors), *one.shape)).astype(one.dtype)
                for part, one in zip(parts, like, strict=True)]


def image_of(mode: Mode, function: Callable[..., Any], real: Any, row: Any) -> tuple[Any, Any]:
    """Return the value of a function of flat arrays, and the image of a vector under a mode of its derivative."""
    if mode == "jvp":
        value, image = jax.jvp(lambda *given: tuple(function(*given)), tuple(real), tuple(row))
        return value, image
    if mode == "linearize":
        value, forward = jax.linearize(lambda *given: tuple(function(*given)), *real)
        return value, forward(*row)
    value, backward = jax.vjp(lambda *given: tuple(function(*given)), *real)
    return value, backward(tuple(row))


def _images(mode: Mode, function: Callable[..., Any], real: Any, rows: Any) -> list[Any]:
    """Return the value, and the images of many vectors, flat."""
    value, image = jax.vmap(partial(image_of, mode, function), (None, 0))(tuple(real), tuple(rows))
    return [*(one[0] for one in value), *image]


def joined(arrays: Sequence[Any]) -> Array:
    """Real arrays end to end."""
    return np.concatenate([np.empty(0), *(np.asarray(array, np.float64).reshape(-1) for array in arrays)])


def _parts(leaves: Sequence[Leaf]) -> tuple[Part, ...]:
    found, start = [], 0
    for leaf in leaves:
        shape = (*leaf.shape, 2) if leaf.is_complex else leaf.shape
        stop = start + int(np.prod(shape, dtype=np.int64))
        found.append(Part(Tensor(leaf.name, shape, start, stop), leaf.is_complex, float(jnp.finfo(leaf.dtype).eps) / 2))
        start = stop
    return tuple(found)


def named(path: Any) -> str:
    """arg0, arg0['w'], ..."""
    return f"arg{getattr(path[0], 'idx', path[0])}" + jax.tree_util.keystr(path[1:])
