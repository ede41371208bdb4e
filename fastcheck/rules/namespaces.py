"""What array libraries do not spell alike."""

import math
import sys
from typing import Any

import numpy as np

# What is tiny enough for any short series; and the least sum of squares from which nothing has underflowed.
TINY = 1e-8
LEAST_SQUARE = 1e-280


def is_traced(x: Any) -> bool:
    """Tell whether ``x`` is a symbol of a JAX trace, whose numbers no Python branch can see."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(x, jax.core.Tracer)


def is_complex(x: Any) -> bool:
    """Tell whether x is an array of complex numbers."""
    if type(x) is np.ndarray:
        return bool(x.dtype.kind == "c")
    dtype = getattr(x, "dtype", None)
    kind = getattr(dtype, "kind", None)
    return bool(getattr(dtype, "is_complex", False)) if kind is None else kind == "c"


def largest(xp: Any, *changes: Any) -> float:
    """Return the largest magnitude in ``changes``; NaN where there is one, infinity where it cannot be known.

    Where all are tiny, and that is the usual case, it may be a bound on it instead, of at most ``TINY``.
    """
    found = 0.0
    for change in changes:
        if change is None or 0 in change.shape:
            continue
        if is_complex(change):
            change = xp.abs(change)
        if type(change) is np.ndarray:
            top = largest_of_array(change)
        elif is_traced(change):
            return math.inf
        elif hasattr(xp, "aminmax"):
            top = largest_of_tensor(xp, change)
        else:
            top = max(float(xp.max(change)), -float(xp.min(change)))
        if math.isnan(top):
            return top
        found = max(found, top)
    return found


def largest_of_array(change: Any) -> float:
    """``largest`` of one array of NumPy: its length where that is tiny, for a dot product is four times as fast."""
    if change.dtype == np.float64 and change.flags.c_contiguous:
        flat = change.reshape(-1)
        square = float(np.dot(flat, flat))
        if LEAST_SQUARE < square < TINY * TINY:
            return math.sqrt(square)
    # the ufuncs' own reductions: on small arrays numpy.max takes thrice their time
    return max(float(np.maximum.reduce(change, axis=None)), -float(np.minimum.reduce(change, axis=None)))


def largest_of_tensor(xp: Any, change: Any) -> float:
    """``largest`` of one tensor of PyTorch, likewise."""
    if change.dtype == xp.float64 and change.is_contiguous():
        flat = change.reshape(-1)
        square = float(xp.dot(flat, flat))
        if LEAST_SQUARE < square < TINY * TINY:
            return math.sqrt(square)
    least, most = xp.aminmax(change)
    return max(float(most), -float(least))


def less_product(xp: Any, a: Any, b: Any, c: Any) -> Any:
    """a - b c, without an array for the product where the library can; a new array."""
    return xp.addcmul(a, b, c, value=-1.0) if hasattr(xp, "addcmul") else a - b * c


def largest_along(xp: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """Return the largest element along axes, which are kept."""
    if type(x) is np.ndarray:
        return np.maximum.reduce(x, axis=axes, keepdims=True)
    return xp.amax(x, axis=axes, keepdims=True)


def any_of(xp: Any, condition: Any) -> bool:
    """Tell whether ``condition`` holds anywhere, or might."""
    if type(condition) is np.ndarray or type(condition) is np.bool_:
        return bool(np.count_nonzero(condition))
    return is_traced(condition) or bool(condition.any() if hasattr(condition, "any") else condition)


def as_float(xp: Any, condition: Any, like: Any) -> Any:
    """Booleans (or numbers) as numbers of ``like``'s type."""
    return xp.asarray(condition, dtype=like.dtype)


def as_count(xp: Any, condition: Any) -> Any:
    """Booleans as integers, to be counted."""
    return xp.asarray(condition, dtype=xp.int64)


def cube_root(xp: Any, x: Any) -> Any:
    """Return the real cube root."""
    if hasattr(xp, "cbrt"):
        return xp.cbrt(x)
    return xp.sign(x) * xp.abs(x) ** (1.0 / 3.0)


def smallest(xp: Any, x: Any) -> float:
    """The least magnitude in x, 0 if there are none; 0 where it cannot be known, so that nothing is out of reach."""
    if type(x) is np.ndarray and x.size:
        return float(np.minimum.reduce(np.abs(x), axis=None))
    return 0.0 if 0 in x.shape or is_traced(x) else float(xp.min(xp.abs(x)))


def take_along(xp: Any, x: Any, places: Any) -> Any:
    """x at ``places`` along the last axis, each row at its own; axes in front broadcast."""
    lead = max(x.shape[:-1], places.shape[:-1], key=len)
    x = xp.broadcast_to(x, (*lead, x.shape[-1]))
    places = xp.broadcast_to(places, (*lead, places.shape[-1]))
    return xp.take_along_dim(x, places, -1) if hasattr(xp, "take_along_dim") else xp.take_along_axis(x, places, -1)


# What PyTorch calls SciPy's functions that it has by other names.
OF_TORCH = {
    "k0": "modified_bessel_k0", "k1": "modified_bessel_k1",
    "k0e": "scaled_modified_bessel_k0", "k1e": "scaled_modified_bessel_k1",
}


def special(xp: Any, name: str) -> Any:
    """Return a special function by SciPy's name."""
    if "torch" in xp.__name__:
        import torch

        return gamma_of_torch if name == "gamma" else getattr(torch.special, OF_TORCH.get(name, name))
    if "jax" in xp.__name__:
        import jax.scipy.special as functions
    else:
        import scipy.special as functions
    return getattr(functions, name)


def gamma_of_torch(x: Any) -> Any:
    """Return the gamma function of positive numbers, which PyTorch knows by its logarithm only."""
    import torch

    return torch.exp(torch.special.gammaln(x))


def to_device_of(like: Any, x: Any) -> Any:
    """x on the device of ``like``, where there are devices."""
    return x.to(like.device) if hasattr(x, "to") and x.device != like.device else x


def identity(xp: Any, n: int, like: Any) -> Any:
    """Return the unit matrix of ``like``'s type, on its device."""
    return to_device_of(like, xp.eye(n, dtype=like.dtype))


def matrix_exponential(xp: Any, a: Any) -> Any:
    """exp of the matrices in the last two axes."""
    if "torch" in xp.__name__:
        import torch

        return torch.linalg.matrix_exp(a)
    if "jax" in xp.__name__:
        from jax.scipy.linalg import expm
    else:
        from scipy.linalg import expm
    return expm(a)
