"""The table of JAX's primitives: how each one's change comes from its operands'.

To add a primitive, write one entry: the name of its rule in ``fastcheck.rules``, ``linear`` with the places of the
operands that it is linear in, ``bilinear``, or a function of a ``Call`` for what is none of these.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ...rules.branches import jump
from . import algebra, ordering
from .call import Call, Handler, bilinear, elementwise, linear, ruled
from .convolution import convolution
from .evaluation import evaluated_by, is_inexact, wide_type, widened, zeros


def _integer_power(call: Call) -> Any:
    power = np.float64(call.params["y"])
    return ruled("power", (call.values[0], power), (call.changes[0], None), call.out, call)


def _clamp(call: Call) -> Any:
    order = (1, 0, 2)
    return ruled("clip", [call.values[k] for k in order], [call.changes[k] for k in order], call.out, call)


def _select(call: Call) -> Any:
    """Return one of several operands, by a truth or an integer."""
    (which, *cases), (d_which, *d_cases) = call.values, call.changes
    if which.dtype == bool and len(cases) == 2:
        return ruled("where", (which, *cases[::-1]), (d_which, *d_cases[::-1]), call.out, call)
    changes = [zeros(value) if change is None else change for value, change in zip(cases, d_cases, strict=True)]
    found = evaluated_by(call.primitive, call.params, (which, *changes))[0]
    if d_which is None:
        return found
    new = jnp.clip(which + jnp.asarray(jnp.round(d_which), jnp.int32), 0, len(cases) - 1)
    gap = 1.0 * call.again(new, *cases) - 1.0 * call.out
    call.branches.note(new != which)
    return jnp.where(new == which, found, gap + call.again(new, *changes))


def _convert(call: Call) -> Any:
    """A cast between types of numbers carries the change; to integers or truths it is piecewise constant."""
    value, change, dtype = call.values[0], call.changes[0], call.out.dtype
    if jnp.issubdtype(dtype, jnp.inexact):
        return jnp.asarray(change, wide_type(dtype))
    if jnp.issubdtype(dtype, jnp.bool_):
        return jump(jnp, 1.0 * (value + change != 0.0) - call.out, value == 0.0, call.branches)
    return ruled("trunc", (value,), (change,), 1.0 * call.out, call) if is_inexact(value) else change


def _logic(call: Call) -> Any:
    """Truths and bits evaluated at both ends: they change where a comparison's result does, which has been noted."""
    moved = [v if d is None else v + d != 0 if v.dtype == bool else v + jnp.asarray(jnp.round(d), v.dtype)
             for v, d in zip(call.values, call.changes, strict=True)]
    return 1.0 * call.again(*moved) - 1.0 * call.out


def _bits(call: Call) -> Any:
    """Bits of a number, or a number of bits, at both ends, in the precision that the caller's code reads them in."""
    (value,), (change,) = call.values, call.changes
    moved = value + change if is_inexact(value) else value + jnp.round(change)
    return 1.0 * widened(call.again(jnp.asarray(moved, value.dtype))) - 1.0 * call.out


def _rounded(call: Call) -> Any:
    """What takes separate values is evaluated at both ends."""
    moved = [v if d is None else v + d for v, d in zip(call.values, call.changes, strict=True)]
    return jump(jnp, call.again(*moved) - call.out, jnp.zeros((), bool), call.branches)


def _same(call: Call) -> Any:
    return list(call.changes) if call.primitive.multiple_results else call.changes[0]


def _gather(call: Call) -> Any:
    """Return entries at some places; those outside are filled by a constant, which stands still."""
    inside = Call(call.primitive, {**call.params, "fill_value": 0}, call.values, call.changes, call.outputs,
                  call.branches)
    return ordering.unless_moved(1)(inside)


def _slice_at(call: Call) -> Any:
    return ordering.unless_moved(len(call.values) - 1)(call)


def _update_at(call: Call) -> Any:
    return ordering.unless_moved(len(call.values) - 2)(call)


def _scatter(call: Call) -> Any:
    """Return entries overwritten, or added to, at some places."""
    (operand, places, updates), (d_operand, d_places, d_updates) = call.values, call.changes
    found = call.again(zeros(operand) if d_operand is None else d_operand, places,
                       zeros(updates) if d_updates is None else d_updates)
    return found if d_places is None else call.lost(d_places != 0.0, found)


def _by_quantiles(call: Call) -> Any:
    """Return the change of random numbers by their parameter, as JAX has it: each keeps its quantile."""
    drawn = jnp.exp(call.out) if call.params["log_space"] else call.out
    slope = lax.random_gamma_grad(call.values[1], drawn)
    return call.changes[1] * (slope / drawn if call.params["log_space"] else slope)


RULED = {
    "add": "add", "add_any": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative",
    "max": "maximum", "min": "minimum", "rem": "fmod", "pow": "power", "atan2": "arctan2", "exp": "exp",
    "exp2": "exp2", "expm1": "expm1", "log": "log", "log1p": "log1p", "sqrt": "sqrt", "rsqrt": "rsqrt",
    "cbrt": "cbrt", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "logistic": "sigmoid", "erf": "erf", "erfc": "erfc", "erf_inv": "erfinv", "lgamma": "gammaln",
    "bessel_i0e": "i0e", "bessel_i1e": "i1e", "igamma": "gammainc", "igammac": "gammaincc",
    "regularized_incomplete_beta": "betainc",
    "abs": "absolute", "sign": "sign", "floor": "floor", "ceil": "ceil", "square": "square",
    "is_finite": "isfinite", "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "lt_to": "less", "le_to": "less_equal", "conj": "conjugate",
}
LINEAR = (
    "reduce_sum", "broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "rev", "slice", "pad",
    "concatenate", "reduce_window_sum", "cumsum", "real", "imag", "complex", "fft", "split", "stack", "tile",
    "unstack", "psum",
)
SPECIAL: dict[str, Handler] = {
    "dot_general": bilinear, "conv_general_dilated": convolution,
    "integer_pow": _integer_power, "clamp": _clamp, "select_n": _select, "convert_element_type": _convert,
    "stop_gradient": _same, "copy": _same, "copy_p": _same, "reduce_precision": _same, "optimization_barrier": _same,
    "name": _same, "sharding_constraint": _same, "tridiagonal_solve": algebra.tridiagonal_solve,
    "round": _rounded, "nextafter": _rounded, "and": _logic, "or": _logic, "xor": _logic, "not": _logic,
    "shift_left": _logic, "shift_right_logical": _logic, "shift_right_arithmetic": _logic,
    "bitcast_convert_type": _bits,
    "gather": _gather, "dynamic_slice": _slice_at, "dynamic_update_slice": _update_at, "scatter": _scatter,
    "scatter-add": _scatter, "scatter-sub": _scatter,
    "scatter-max": ordering.scattered("max"), "scatter-min": ordering.scattered("min"),
    "select_and_scatter_add": ordering.chosen_by_second, "select_and_gather_add": ordering.chosen_by_second,
    "reduce_max": ordering.reduction("max"), "reduce_min": ordering.reduction("min"),
    "reduce_prod": ordering.reduction("prod"),
    "reduce_or": ordering.reduction("any"), "reduce_and": ordering.reduction("all"),
    "argmax": ordering.reduction("argmax"), "argmin": ordering.reduction("argmin"),
    "cumprod": ordering.along("cumprod"), "cummax": ordering.so_far("max"), "cummin": ordering.so_far("min"),
    "cumlogsumexp": ordering.so_far("logsumexp"), "sort": ordering.sort, "top_k": ordering.top_k,
    "approx_top_k": ordering.approximate_top_k,
    "reduce_window_max": ordering.window("max"), "reduce_window_min": ordering.window("min"),
    "cholesky": algebra.cholesky, "eigh": algebra.eigh, "svd": algebra.svd, "lu": algebra.lu, "qr": algebra.qr,
    "digamma": algebra.with_numpy("digamma"), "zeta": algebra.with_numpy("zeta"),
    "polygamma": algebra.with_numpy("polygamma"), "device_put": _same, "triangular_solve": algebra.triangular_solve,
}
PRIMITIVES: dict[str, Handler] = {
    **{name: elementwise(rule) for name, rule in RULED.items()},
    **{name: linear() for name in LINEAR},
    **SPECIAL,
}
# As automatic differentiation has it: random numbers move along their quantiles, where the sampler itself jumps ...
DRAWN: dict[str, Handler] = {**PRIMITIVES, "random_gamma": _by_quantiles}
# ... and what is stopped stands still.
STOPPED: dict[str, Handler] = {**DRAWN, "stop_gradient": lambda call: jnp.zeros_like(call.changes[0])}
