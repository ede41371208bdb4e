"""``check``: the gradient of a loss of pytrees, as a report."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._constants import COARSE, UNIT_ROUNDOFFS
from .._errors import NondeterministicError
from .._names import Method
from .._types import Array
from ..checks.function import check_function
from ..problems.functions.purity import same
from ..problems.functions.vjp import rounding_between
from ..problems.gradients import Rounding
from ..report.report import Report
from ..runtime.resources import memory_of, threads_of
from ..runtime.run import Run
from ..verdict.outcome import Cause
from .cost import JaxCost
from .function import JaxFunction, as_real, is_floating

HALVES = ("float16", "bfloat16")


def check(
    loss: Callable[..., Any],
    parameters: Any,
    gradients: Any = None,
    args: Sequence[Any] = (),
    *,
    tolerance: float | None = None,
    norm: float = 2,
    method: Method | None = None,
    samples: int | None = None,
    directions: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    memory_limit: int | None = None,
    time_limit: float | None = None,
    progress: Any = False,
) -> Report:
    """Check the gradient of a loss by every floating array of a pytree of parameters.

    The loss is differenced exactly, in double precision: its jaxpr, by the rules of its primitives.  Where a primitive
    has no rule, or the loss branches in Python, values are subtracted; the report's engine and notes say so.

    Parameters
    ----------
    loss : loss(parameters, *args) -> one real number.  It is run as the caller runs it, in whatever precision.
    parameters : a pytree; arrays that are not floating are handed on and not checked.
    gradients : a pytree like it; None for jax.grad's own, which is checked then.  Those of complex parameters follow
        JAX: df/dx - i df/dy.
    args : further arguments of the loss.
    method : None for all entries where that takes a few seconds, else directions through everything; the report says
        which.  "all", "sample" and "directional" as in ``fastcheck.check``.
    tolerance, norm, samples, directions, seed, threads, memory_limit, time_limit, progress : as in
        ``fastcheck.check``.

    Returns
    -------
    Report : of the parameters, named by their paths in the pytree: "encoder.layers.0.kernel".

    Raises
    ------
    ValueError, TypeError : for what does not fit.
    NondeterministicError : if the loss is random.

    Notes
    -----
    Where the loss computes in float16 or bfloat16, only gross mistakes can be told from rounding: nothing passes then,
    what agrees is inconclusive.

    Examples
    --------
    >>> parameters = {"w": jnp.ones(3), "b": jnp.zeros(())}
    >>> report = check(lambda p, x: jnp.mean(jnp.tanh(x @ p["w"] + p["b"])), parameters, args=(np.ones((2, 3)),))
    >>> report.verdict
    'pass'
    """
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"args: expected a tuple of further arguments, as in args=(x, y), got {type(args).__name__}")

    def cost(given: Any) -> Any:
        value = loss(given, *args)
        shape = getattr(value, "shape", None if isinstance(value, (tuple, list, dict)) else np.shape(value))
        if shape != () or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
            found = type(value).__name__ if shape is None else f"shape {shape} and type {jnp.result_type(value)}"
            raise ValueError(f"loss: expected one real number, got {found}; reduce it, e.g. with .mean()")
        return value

    names, places = _named(parameters)
    function = JaxFunction(cost, (parameters,), loss, wide=False)
    function.rename(names)
    _require_function(function)
    given = _own(cost, parameters, places) if gradients is None else _given(gradients, parameters, places)
    rounding = _rounding(cost, parameters, places, dict(zip(names, given, strict=True))) if gradients is None else None
    found = {name: _plain(g) for name, g in zip(names, given, strict=True)}
    plain = {name: _plain(real) for name, real in zip(names, function.real, strict=True)}
    coarse = function.dtype in HALVES or any(str(g.dtype) in HALVES for g in given)
    tolerances = COARSE if coarse and tolerance is None else tolerance
    differenced, notes = JaxCost(_called(function, cost, parameters, loss), rounding), []
    if method is None:
        method = differenced.method(Run(threads_of(threads), memory_of(memory_limit)))
        if method == "directional":
            notes.append('All entries would take more than a few seconds: directions through everything and a sample '
                         'were taken; method="all" takes all.')
    report = check_function(
        differenced, plain, found, tolerance=tolerances, norm=norm, method=method, samples=samples,
        directions=directions, seed=seed, threads=threads, memory_limit=memory_limit, time_limit=time_limit,
        progress=progress,
    )
    report = report.noted(differenced.how(report.engine), *notes)
    return report.held_open(Cause.COARSE) if coarse and tolerance is None else report


def _named(parameters: Any) -> tuple[list[str], list[int]]:
    """Names of the floating leaves, and their places among all leaves."""
    paths = jax.tree_util.tree_flatten_with_path(parameters)[0]
    places = [k for k, (_, leaf) in enumerate(paths) if is_floating(leaf) or isinstance(leaf, (float, complex))]
    if not places:
        raise ValueError("parameters: expected floating arrays, got none; there is nothing to check")
    return [_name(paths[k][0]) for k in places], places


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".") or "parameters"


def _require_function(function: JaxFunction) -> None:
    first, again = float(function.value[0]), float(function.at(function.theta)[0])
    if not same(first, again) and not abs(first - again) <= 1e2 * function.unit * abs(again):
        raise NondeterministicError(
            f"the loss is random or changes with each call: {first!r} and then {again!r} for the same parameters; draw "
            "its random numbers from a key that is fixed inside, or passed in args"
        )


def _called(function: JaxFunction, cost: Callable[..., Any], parameters: Any, loss: Any) -> JaxFunction:
    """The function whose values are differenced: where it cannot be traced, in double precision if it can be."""
    if function.traced is not None:
        return function
    try:
        wide = JaxFunction(cost, (parameters,), loss, wide=True)
    except Exception:  # what double precision does to code that fixes its own types is not the caller's mistake
        return function
    wide.rename([leaf.name for leaf in function.inputs])
    return wide


def _own(cost: Callable[..., Any], parameters: Any, places: Sequence[int]) -> list[Any]:
    """The gradients that jax.grad gives."""
    leaves, tree = jax.tree.flatten(parameters)

    def of_floating(floating: Sequence[Any]) -> Any:
        every = list(leaves)
        for place, leaf in zip(places, floating, strict=True):
            every[place] = leaf
        return cost(jax.tree.unflatten(tree, every))

    return list(jax.grad(of_floating)([jnp.asarray(leaves[k]) for k in places]))


def _rounding(
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
            doubles = _own(cost, jax.tree.unflatten(tree, leaves), places)
    except Exception:  # what double precision does to code that fixes its own types: nothing is known then
        return None
    plain = {name: np.asarray(g) for name, g in given.items()}
    wide = {name: np.asarray(g) for name, g in zip(given, doubles, strict=True)}
    terms = max(int(np.prod(np.shape(leaf))) for leaf in leaves)
    return rounding_between(plain, wide, UNIT_ROUNDOFFS["float32"], terms)


def _given(gradients: Any, parameters: Any, places: Sequence[int]) -> list[Any]:
    """The caller's gradients of the floating leaves."""
    paths = jax.tree_util.tree_flatten_with_path(parameters)[0]
    found = {_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(gradients)[0]}
    chosen = []
    for path, leaf in (paths[k] for k in places):
        name, shape = _name(path), np.shape(leaf)
        if name not in found:
            raise ValueError(f"gradients: expected one of {name!r}, got {', '.join(map(repr, found)) or 'none'}; hand "
                             "in a pytree like the parameters")
        gradient = found[name] if hasattr(found[name], "dtype") else np.asarray(found[name])
        if tuple(gradient.shape) != shape:
            raise ValueError(f"gradients: expected shape {shape} for {name!r}, got {tuple(gradient.shape)}; hand in "
                             "one number for each entry")
        chosen.append(gradient)
    return chosen


def _plain(array: Any) -> Array:
    """An array of NumPy's own types; complex numbers as pairs of real ones, those of gradients conjugated."""
    real = np.asarray(as_real(jnp.conj(array) if jnp.iscomplexobj(array) else array))
    return real.astype(np.float32) if str(real.dtype) in HALVES else real
