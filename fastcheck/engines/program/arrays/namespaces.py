"""The functions that are replaced in the user's namespaces while a program runs, by the module that holds them.

NumPy's do not ask their arguments who should answer, or make arrays of lists first. SciPy's and math's never ask.
"""

import math
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from . import (
    algebra,
    composed,
    creation,
    curves,
    distances,
    joining,
    linear,
    matrices,
    reductions,
    scalars,
    vectorized,
)
from .elementwise import by_name
from .instances import OfMethods
from .rearranging import arrays_in, rearrangement
from .run import Handler, Run
from .sparse import factorized, solved
from .wrapping import Handlers

_MADE = "zeros empty ones zeros_like empty_like ones_like"
_MADE_OF_STILL = "arange eye identity logspace geomspace tri fromiter fromfunction frombuffer indices"
_CONVERTED = "array asarray asanyarray ascontiguousarray asfortranarray copy require asarray_chkfinite"
_OF_LISTS = """sum mean max min amax amin prod std var median average argmax argmin dot matmul cumsum reshape transpose
    outer inner any all where"""
# Ufuncs that people call with lists, or whose methods they do: numpy.maximum.reduce([a, b, c]).
_UFUNCS_OF_LISTS = """add subtract multiply maximum minimum fmax fmin logaddexp logaddexp2 hypot logical_and logical_or
    logical_xor"""


def _logsumexp(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.special.logsumexp, which has a rule of its own where there are no weights."""
    weights = args[2] if len(args) > 2 else options.get("b")
    handler = reductions.by_rule("axis", "b", "keepdims", "return_sign") if weights is None else _OF_WEIGHTS
    return handler(run, function, args, options)


_OF_WEIGHTS = composed.composed(curves.log_of_weighted_sum)
_SPECIAL = {
    "logsumexp": _logsumexp,
    "softmax": reductions.by_rule("axis"),
    "log_softmax": reductions.by_rule("axis"),
    "zeta": by_name("zeta", 2),
    "polygamma": by_name("polygamma", 2),
    "multigammaln": composed.composed(curves.multigammaln),
}


def _cholesky(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """scipy.linalg.cholesky, whose factor is the upper one unless it is told otherwise."""
    lower = bool(args[1] if len(args) > 1 else options.get("lower", False))
    return algebra.by_rule("cholesky", 1, "upper")(
        run, lambda a, upper: function(a, lower=lower), args[:1], {"upper": not lower}
    )


_LINALG: dict[str, Handler] = {
    "inv": algebra.by_rule("inv", 1),
    "solve": composed.composed(matrices.solve_as),
    "lstsq": algebra.least_squares,
    "det": algebra.by_rule("det", 1),
    "pinv": algebra.by_rule("pinv", 1),
    "eigh": algebra.eigh,
    "eigvalsh": algebra.by_rule("eigvalsh", 1),
    "svd": algebra.svd,
    "svdvals": algebra.by_rule("svdvals", 1),
    "expm": algebra.by_rule("expm", 1),
    "cholesky": _cholesky,
    "norm": algebra.norm,
    "cho_factor": algebra.cho_factor,
    "cho_solve": algebra.cho_solve,
    "qr": algebra.qr,
    "lu": algebra.lu,
    "lu_factor": algebra.lu_factor,
    "lu_solve": algebra.lu_solve,
    "solve_triangular": algebra.solve_triangular,
    "block_diag": rearrangement(*range(64)),
    "toeplitz": rearrangement(0, 1, "c", "r"),
    "circulant": rearrangement(0, "c"),
    "hankel": rearrangement(0, 1, "c", "r"),
}
_SIGNAL: dict[str, Handler] = dict.fromkeys(
    ("convolve", "correlate", "fftconvolve", "oaconvolve", "convolve2d", "correlate2d"), linear.bilinear_each
) | {
    "lfilter": linear.each(2, "x"),
    "filtfilt": linear.each(2, "x"),
    "sosfilt": linear.each(1, "x"),
    "sosfiltfilt": linear.each(1, "x"),
    "detrend": linear.each(0, "data"),
    "hilbert": linear.each(0, "x"),
    "savgol_filter": linear.each(0, "x"),
    "resample": linear.each(0, "x"),
    "resample_poly": linear.each(0, "x"),
    "decimate": linear.each(0, "x"),
}
_NDIMAGE: dict[str, Handler] = dict.fromkeys(
    ("convolve", "correlate", "convolve1d", "correlate1d"), linear.bilinear_each
) | dict.fromkeys(
    (
        "gaussian_filter",
        "gaussian_filter1d",
        "uniform_filter",
        "uniform_filter1d",
        "sobel",
        "prewitt",
        "laplace",
        "gaussian_laplace",
        "zoom",
        "shift",
        "rotate",
        "affine_transform",
        "map_coordinates",
        "spline_filter",
        "spline_filter1d",
    ),
    linear.each(0, "input"),
)
_FOURIER: dict[str, Handler] = (
    dict.fromkeys(("fft", "ifft", "rfft", "irfft"), linear.along_axes("axis", 2, -1))
    | dict.fromkeys(("dct", "idct", "dst", "idst"), linear.along_axes("axis", 3, -1))
    | dict.fromkeys(("fft2", "ifft2", "rfft2", "irfft2"), linear.along_axes("axes", 2, (-2, -1)))
    | dict.fromkeys(("fftn", "ifftn", "rfftn", "irfftn"), linear.along_axes("axes", 2, None))
    | dict.fromkeys(("dctn", "idctn"), linear.along_axes("axes", 3, None))
)
_INTEGRATE: dict[str, Handler] = {
    "trapezoid": composed.composed(curves.integral),
    "simpson": linear.each(0, "y"),
    "cumulative_trapezoid": linear.each(0, "y"),
    "cumulative_simpson": linear.each(0, "y"),
}
_DISTANCE: dict[str, Handler] = {
    name: composed.composed(distances.of_vectors(name)) for name in distances.OF_TWO
} | {
    "cdist": composed.composed(distances.between),
    "pdist": composed.composed(distances.within),
    "squareform": composed.composed(distances.square_form),
}
_SCIPY = {
    "scipy.special": _SPECIAL,
    "scipy.linalg": _LINALG,
    "scipy.signal": _SIGNAL,
    "scipy.ndimage": _NDIMAGE,
    "scipy.fft": _FOURIER,
    "scipy.integrate": _INTEGRATE,
    "scipy.spatial.distance": _DISTANCE,
}


def _asked(handler: Handler) -> Handler:
    """Return the handler, for arrays that carry changes; everything else goes to the function itself."""

    def checked(run: Run, function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if arrays_in(args) or arrays_in(options):
            return handler(run, function, args, options)
        return function(*args, **options)

    return checked


def replaced() -> Handlers:
    """By module and name: what stands in for functions and objects, of all modules that are imported by now."""
    handlers: dict[tuple[ModuleType, str], Any] = {(np, name): creation.made for name in _MADE.split()}
    handlers |= {(np, name): creation.made_of_still for name in _MADE_OF_STILL.split()}
    handlers[np, "linspace"] = linear.each(0, 1, "start", "stop")
    handlers |= {(np, name): creation.converted for name in _CONVERTED.split()}
    handlers |= {(np, "full"): creation.filled, (np, "full_like"): creation.filled}
    handlers |= {(np, name): creation.of_list for name in [*_OF_LISTS.split(), *_UFUNCS_OF_LISTS.split()]}
    handlers[np, "vectorize"] = vectorized.called
    handlers[np.lib.stride_tricks, "as_strided"] = creation.strided
    handlers |= {(np, name): _asked(handler) for name, handler in joining.INDEXED.items()}
    handlers[np, "ndenumerate"] = _asked(creation.enumerated)
    handlers |= {(math, name): _asked(handler) for name, handler in scalars.HANDLERS.items()}
    for module_name, table in _SCIPY.items():
        module = sys.modules.get(module_name)
        if module is not None:
            handlers |= {(module, name): _asked(handler) for name, handler in table.items() if hasattr(module, name)}
    sparse = sys.modules.get("scipy.sparse.linalg")
    if sparse is not None and hasattr(sparse, "spsolve"):
        handlers[sparse, "spsolve"] = _asked(solved)
        handlers |= {(sparse, name): factorized for name in ("splu", "spilu", "factorized")}
    return handlers | _of_statistics()


def of_instance(frozen: Any) -> OfMethods:
    """What stands in for the methods of a frozen distribution of scipy.stats."""
    from . import distributions  # which imports scipy.stats

    return _all_asked(distributions.of_frozen(frozen))


def _of_statistics() -> dict[tuple[ModuleType, str], Any]:
    """What stands in for functions of scipy.stats and for methods of its distributions, where it is imported."""
    stats = sys.modules.get("scipy.stats")
    if stats is None:
        return {}
    from . import distributions  # which imports it

    handlers: dict[tuple[ModuleType, str], Any] = {
        (stats, name): _asked(handler) for name, handler in distributions.FUNCTIONS.items()
    }
    return handlers | {(stats, name): _all_asked(methods) for name, methods in distributions.distributions().items()}


def _all_asked(handlers: OfMethods) -> OfMethods:
    return {name: _asked(handler) for name, handler in handlers.items()}
