"""Values of primitives in double precision, whatever precision their equation was traced with."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from .contents import RESULTS

# Parameters that name the type of a result.
PRECISION = ("preferred_element_type", "out_dtype")
# Primitives that draw other random numbers in another precision.
DRAWS = ("random_gamma", "rng_uniform")
# Primitives that read the bits of numbers, of which other types have others.
OF_BITS = ("bitcast_convert_type",)
# Primitives that hold an operation of their own for scalars, of the type that was traced.
SCATTERS = {
    "scatter-add": lax.scatter_add, "scatter": lax.scatter, "scatter-mul": lax.scatter_mul,
    "scatter-min": lax.scatter_min, "scatter-max": lax.scatter_max, "scatter-sub": lax.scatter_sub,
}
# Primitives that are the identity but for the type.
SAME = ("convert_element_type", "reduce_precision", "stop_gradient", "copy", "copy_p", "device_put",
        "optimization_barrier", "name", "sharding_constraint")


def is_inexact(value: Any) -> bool:
    """Tell whether it is an array of real or complex numbers."""
    return bool(jnp.issubdtype(value.dtype, jnp.inexact))


def wide_type(dtype: Any) -> Any:
    """Return the double precision of a type of real or complex numbers; other types as they are."""
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return np.dtype(np.complex128)
    return np.dtype(np.float64) if jnp.issubdtype(dtype, jnp.floating) else dtype


def widened(value: Any) -> Any:
    """Real and complex numbers in double precision."""
    return jnp.asarray(value, wide_type(value.dtype)) if is_inexact(value) else value


def operands_of(equation: Any, values: Sequence[Any]) -> tuple[Any, ...]:
    """Return operands in the precision that an equation is evaluated in: double, but where it reads bits."""
    if equation.primitive.name not in OF_BITS:
        return tuple(map(widened, values))
    return tuple(lax.convert_element_type(value, atom.aval.dtype)
                 for value, atom in zip(values, equation.invars, strict=True))


def zeros(value: Any) -> Any:
    """Return the change of something that stands still."""
    dtype = np.complex128 if jnp.issubdtype(value.dtype, jnp.complexfloating) else np.float64
    return jnp.zeros(value.shape, dtype)


def bound(primitive: Any, params: dict[str, Any], values: Sequence[Any]) -> list[Any]:
    """Return the outputs of a primitive, always as a list."""
    given = primitive.get_bind_params(params)
    functions, given = given if isinstance(given, tuple) else ((), given)  # the functions apart: before JAX 0.10
    found = primitive.bind(*functions, *values, **given)
    return list(found) if primitive.multiple_results else [found]


def evaluated(equation: Any, values: Sequence[Any]) -> list[Any]:
    """Return the outputs of an equation whose operands are those of ``operands_of``, in double precision."""
    primitive, params = equation.primitive, equation.params
    if primitive.name in (*DRAWS, *OF_BITS) or any(name in params for name in RESULTS):
        return _as_traced(equation, values)
    if primitive.name not in SAME:
        return evaluated_by(primitive, params, values)
    dtypes = [wide_type(variable.aval.dtype) for variable in equation.outvars]
    return [v if v.dtype == d else lax.convert_element_type(v, d) for v, d in zip(values, dtypes, strict=True)]


def evaluated_by(primitive: Any, params: dict[str, Any], values: Sequence[Any]) -> list[Any]:
    """Return the outputs of a primitive for operands in double precision."""
    if primitive.name in SCATTERS:
        return [SCATTERS[primitive.name](*values, **how_to_scatter(params))]
    if any(params.get(key) is not None for key in PRECISION) and any(is_inexact(value) for value in values):
        params = {key: None if key in PRECISION else value for key, value in params.items()}
    return bound(primitive, params, values)


def how_to_scatter(params: dict[str, Any]) -> dict[str, Any]:
    """Return what a scatter takes beside its operands."""
    return {key: params[key] for key in ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")}


def _as_traced(equation: Any, values: Sequence[Any]) -> list[Any]:
    """Return the outputs of an equation that is run with the types that it was traced with."""
    params, types = dict(equation.params), [variable.aval.dtype for variable in equation.outvars]
    if "callback" in params:
        params["callback"] = partial(_of_types, params["callback"], types)
    given = [lax.convert_element_type(value, atom.aval.dtype) if is_inexact(value) else value
             for value, atom in zip(values, equation.invars, strict=True)]
    return [widened(out) for out in bound(equation.primitive, params, given)]


def _of_types(callback: Callable[..., Any], types: Sequence[Any], *args: Any) -> tuple[Any, ...]:
    """Return a callback's arrays in the types it promised: JAX takes wider ones where it has no double precision."""
    return tuple(np.asarray(out, dtype) for out, dtype in zip(callback(*args), types, strict=True))
