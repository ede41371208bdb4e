"""Pytrees of parameters and of gradients: their floating leaves, and the gradients that JAX gives."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._constants import UNIT_ROUNDOFFS
from .._types import Array
from ..problems.functions.backward_rounding import rounding_between
from ..problems.gradients import Rounding
from .function import as_real, is_floating
from .replayed import Replayed

HALVES = ("float16", "bfloat16")


def named_leaves(parameters: Any) -> tuple[list[str], list[int]]:
    """Names of the floating leaves, and their places among all leaves."""
    paths = jax.tree_util.tree_flatten_with_path(parameters)[0]
    places = [k for k, (_, leaf) in enumerate(paths) if is_floating(leaf) or isinstance(leaf, (float, complex))]
    if not places:
        raise ValueError("parameters: expected floating arrays, got none; there is nothing to check")
    return [leaf_name(paths[k][0]) for k in places], places


def leaf_name(path: Any) -> str:
    """Return the path of a leaf in a pytree: "layers.0.w"."""
    return jax.tree_util.keystr(path, simple=True, separator=".") or "parameters"


def own_integers(leaf: Any) -> Any:
    """Return a leaf as JAX takes it in the caller's precision: NumPy's integers of 64 bits are of 32 without x64.

    A jitted loss that has met them there fails where it meets them in double precision: JAX mistakes one for the other.
    """
    if not isinstance(leaf, (np.ndarray, np.generic)) or leaf.dtype.kind not in "iu":
        return leaf
    return leaf.astype(jax.dtypes.canonicalize_dtype(leaf.dtype))


def own_gradients(
    cost: Callable[..., Any], parameters: Any, places: Sequence[int], floating: Sequence[Any] | None = None,
    factor: float | None = None,
) -> list[Any]:
    """Return the gradients that jax.grad gives, of the cost times a factor.

    Parameters
    ----------
    floating : values of the leaves at ``places``; None for the parameters' own.
    factor : None for the cost itself.
    """
    leaves, tree = jax.tree.flatten(parameters)

    def of_floating(given: Sequence[Any]) -> Any:
        every = list(leaves)
        for place, leaf in zip(places, given, strict=True):
            every[place] = leaf
        value = cost(jax.tree.unflatten(tree, every))
        return value if factor is None else factor * value

    given = [leaves[k] for k in places] if floating is None else floating
    return list(jax.grad(of_floating)([jnp.asarray(leaf) for leaf in given]))


def called_gradients(
    gradients: Callable[[Any], Any], parameters: Any, places: Sequence[int], floating: Sequence[Any] | None = None
) -> list[Any]:
    """Return the same of a function that makes them.

    Parameters
    ----------
    gradients : parameters -> a pytree like them.
    """
    leaves, tree = jax.tree.flatten(parameters)
    for place, leaf in zip(places, floating or (), strict=False):
        leaves[place] = leaf
    return given_gradients(gradients(jax.tree.unflatten(tree, leaves)), parameters, places)


def own_rounding(
    cost: Callable[..., Any], parameters: Any, places: Sequence[int], given: dict[str, Any]
) -> Rounding | None:
    """Return the rounding of JAX's own gradients, where they are in single precision: what double precision changes."""
    single = [g for g in given.values() if g.dtype == jnp.float32]
    if len(single) < len(given):
        return None
    leaves, tree = jax.tree.flatten(parameters)
    try:
        with jax.enable_x64(True):
            for place in places:
                leaves[place] = jnp.asarray(leaves[place], jnp.float64)
            gradients = Replayed(partial(own_gradients, cost, jax.tree.unflatten(tree, leaves), places), whole=True)
            doubles = gradients([leaves[place] for place in places])
    except Exception:  # what double precision does to code that fixes its own types: nothing is known then
        return None
    plain = {name: np.asarray(g) for name, g in given.items()}
    wide = {name: np.asarray(g) for name, g in zip(given, doubles, strict=True)}
    terms = max(int(np.prod(np.shape(leaf))) for leaf in leaves)
    return rounding_between(plain, wide, UNIT_ROUNDOFFS["float32"], terms)


def given_gradients(gradients: Any, parameters: Any, places: Sequence[int]) -> list[Any]:
    """The caller's gradients of the floating leaves."""
    paths = jax.tree_util.tree_flatten_with_path(parameters)[0]
    found = {leaf_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(gradients)[0]}
    chosen = []
    for path, leaf in (paths[k] for k in places):
        name, shape = leaf_name(path), np.shape(leaf)
        if name not in found:
            wanted = ", ".join(repr(leaf_name(paths[k][0])) for k in places)
            pair = isinstance(gradients, tuple) and len(gradients) == 2 and not np.shape(gradients[0])
            remedy = "; where they come as (loss, gradients), pass the second" if pair else (
                "; hand in a pytree like the parameters")
            raise ValueError(f"gradients: expected {wanted}, got {', '.join(map(repr, found)) or 'none'}; {name!r} is "
                             f"missing{remedy}")
        gradient = found[name] if hasattr(found[name], "dtype") else np.asarray(found[name])
        if tuple(gradient.shape) != shape:
            raise ValueError(f"gradients: expected shape {shape} for {name!r}, got {tuple(gradient.shape)}; hand in "
                             "one number for each entry")
        chosen.append(gradient)
    return chosen


def plain_array(array: Any) -> Array:
    """An array of NumPy's own types; complex numbers as pairs of real ones, those of gradients conjugated."""
    real = np.asarray(as_real(jnp.conj(array) if jnp.iscomplexobj(array) else array))
    return real.astype(np.float32) if str(real.dtype) in HALVES else real
