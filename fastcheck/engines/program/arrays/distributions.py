"""Distributions of scipy.stats, and what it computes of samples, by what they are defined as (see ``composed``).

A distribution knows its functions where it stands at zero with a scale of one: what is made of them is moved and
stretched here.  Outside of its support nothing changes, and where it ends there is no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy import special, stats

from ...._errors import NoRule
from ...._types import Mask
from .array import DifferenceArray
from .composed import composed
from .rearranging import arrays_in, still_value, value_of
from .run import Handler

# What is asked of a number, and what of a probability; the names are SciPy's.
OF_A_NUMBER = "pdf", "logpdf", "cdf", "logcdf", "sf", "logsf", "pmf", "logpmf"
OF_A_PROBABILITY = "ppf", "isf"


def methods_of(distribution: Any) -> Mapping[str, Handler]:
    """Return the handlers of a distribution's methods, by name."""
    made = {name: partial(_of_number, distribution, name) for name in OF_A_NUMBER if hasattr(distribution, name)}
    if hasattr(distribution, "pdf"):
        made |= {name: partial(_of_probability, distribution, name) for name in OF_A_PROBABILITY}
    return {name: composed(definition) for name, definition in made.items()}


def of_frozen(frozen: Any) -> Mapping[str, Handler]:
    """Return the handlers of the methods of a distribution that has its shapes, location and scale."""
    def definition_of(name: str) -> Callable[..., Any]:
        definition = _of_number if name in OF_A_NUMBER else _of_probability
        return lambda x: definition(frozen.dist, name, x, *frozen.args, **frozen.kwds)

    return {name: composed(definition_of(name)) for name in methods_of(frozen.dist)}


def _of_number(distribution: Any, name: str, x: Any, *args: Any, **named: Any) -> Any:
    shapes, loc, scale = distribution._parse_args(*args, **named)
    x, loc, scale, *shapes = _of_one_run(x, loc, scale, *shapes)
    standard = (x - loc) / scale
    if hasattr(distribution, "pmf"):
        still_value(standard)
    inside = _inside(distribution, value_of(standard), value_of(shapes), value_of(scale))
    with np.errstate(all="ignore"):
        found = _standard(distribution, name)(standard, *shapes)
    found = found if inside.all() else np.where(inside, found, 0.0)
    if name == "pdf":
        return found / scale
    return found - np.log(scale) if name == "logpdf" else found


def _of_probability(distribution: Any, name: str, q: Any, *args: Any, **named: Any) -> Any:
    shapes, loc, scale = distribution._parse_args(*args, **named)
    q, loc, scale, *shapes = _of_one_run(q, loc, scale, *shapes)
    inside = bool(np.all((value_of(q) > 0.0) & (value_of(q) < 1.0)))
    _require(inside and _is_one(distribution, value_of(shapes), value_of(scale)), distribution)
    return getattr(distribution, f"_{name}")(q, *shapes) * scale + loc


def _standard(distribution: Any, name: str) -> Callable[..., Any]:
    """Return a function of the distribution at zero with a scale of one."""
    log_density = LOG_DENSITIES.get(distribution.name)
    if log_density is not None and name in ("pdf", "logpdf"):
        return log_density if name == "logpdf" else lambda x, *shapes: np.exp(log_density(x, *shapes))
    if name in ("logcdf", "logsf") and _has_no_own(distribution, name):
        return lambda x, *shapes: np.log(getattr(distribution, f"_{name[3:]}")(x, *shapes))
    return getattr(distribution, f"_{name}")  # type: ignore[no-any-return]  # as distributions of one's own have it


def _has_no_own(distribution: Any, name: str) -> bool:
    """Tell whether a method is the one that all distributions have."""
    base = stats.rv_continuous if isinstance(distribution, stats.rv_continuous) else stats.rv_discrete
    return getattr(type(distribution), f"_{name}") is getattr(base, f"_{name}")


def _of_one_run(*operands: Any) -> list[Any]:
    """Return arrays of the run that some of them belong to: SciPy makes arrays that receive results of any of them."""
    run = arrays_in(operands)[0].run
    return [operand if type(operand) is DifferenceArray else DifferenceArray(np.asarray(operand), run)
            for operand in operands]


def _inside(distribution: Any, standard: Any, shapes: Any, scale: Any) -> Mask:
    """Tell which numbers are in a distribution's support."""
    lowest, highest = distribution._get_support(*shapes)
    if hasattr(distribution, "pmf"):
        possible, inside = standard == np.floor(standard), (standard >= lowest) & (standard <= highest)
    else:
        possible, inside = (standard != lowest) & (standard != highest), (standard > lowest) & (standard < highest)
    _require(bool(np.all(possible)) and _is_one(distribution, shapes, scale), distribution)
    return np.asarray(inside)


def _is_one(distribution: Any, shapes: Any, scale: Any) -> bool:
    """Tell whether there is a distribution with these shapes."""
    return bool(np.all(distribution._argcheck(*shapes)) and np.all(np.asarray(scale) > 0.0))


def _require(possible: bool, distribution: Any) -> None:
    if not possible:
        raise NoRule(f"scipy.stats.{distribution.name} at the end of its support, or of shapes that it has not",
                     "check at other values")


def _student(x: Any, df: Any) -> Any:
    return (special.gammaln(0.5 * (df + 1.0)) - special.gammaln(0.5 * df) - 0.5 * np.log(np.pi * df)
            - 0.5 * (df + 1.0) * np.log1p(x * x / df))


def _extreme(x: Any, c: Any) -> Any:
    within = np.log1p(-c * x)
    return within / c - within - np.exp(within / c)


# Those that SciPy makes of parts that it puts into plain arrays.
LOG_DENSITIES: dict[str, Callable[..., Any]] = {
    "cauchy": lambda x: -np.log(np.pi) - np.log1p(x * x),
    "t": _student,
    "lognorm": lambda x, s: -0.5 * (np.log(x) / s) ** 2 - np.log(np.sqrt(2.0 * np.pi) * s * x),
    "gibrat": lambda x: -0.5 * np.log(x) ** 2 - np.log(np.sqrt(2.0 * np.pi) * x),
    "skewnorm": lambda x, a: np.log(np.sqrt(2.0 / np.pi)) - 0.5 * x * x + special.log_ndtr(a * x),
    "genpareto": lambda x, c: -special.xlog1py(c + 1.0, c * x) / c,
    "genextreme": _extreme,
    "gengamma": lambda x, a, c: np.log(np.abs(c)) + special.xlogy(a * c - 1.0, x) - x**c - special.gammaln(a),
}


def normal_logpdf(x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
    """scipy.stats.multivariate_normal.logpdf, which looks at the lower triangle of the covariances."""
    if allow_singular:
        raise NoRule("scipy.stats.multivariate_normal with allow_singular=True", "leave the option out")
    size = np.size(mean) if mean is not None else np.shape(cov)[-1] if np.ndim(cov) else _last(x)
    covariances = _square(cov, size)
    apart = x if mean is None else x - mean
    whole = np.reshape(apart, (-1, size))
    squares = np.sum(whole.T * np.linalg.solve(covariances, whole.T), axis=0)
    found = -0.5 * (squares + np.linalg.slogdet(covariances)[1] + size * np.log(2.0 * np.pi))
    points = np.shape(apart)[:-1] if size > 1 or np.shape(apart)[-1:] == (1,) else np.shape(apart)
    return np.reshape(found, points)


def normal_pdf(x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
    """scipy.stats.multivariate_normal.pdf."""
    return np.exp(normal_logpdf(x, mean, cov, allow_singular))


def _last(x: Any) -> int:
    return int(np.shape(x)[-1]) if np.ndim(x) else 1


def _square(cov: Any, size: int) -> Any:
    """Return covariances (size, size) of a number, of a diagonal, or of a lower triangle."""
    if np.ndim(cov) < 2:
        return np.eye(size) * cov
    return np.tril(cov) + np.tril(cov, -1).T


def dirichlet_logpdf(x: Any, alpha: Any) -> Any:
    """scipy.stats.dirichlet.logpdf."""
    if np.shape(x)[:1] != np.shape(alpha):
        raise NoRule("scipy.stats.dirichlet of all probabilities but the last", "pass all of them")
    powers = np.reshape(alpha, (-1,) + (1,) * (np.ndim(x) - 1)) - 1.0
    return np.sum(special.xlogy(powers, x), axis=0) + special.gammaln(np.sum(alpha)) - np.sum(special.gammaln(alpha))


def scores(a: Any, axis: Any = 0, ddof: int = 0) -> Any:
    """scipy.stats.zscore."""
    return (a - np.mean(a, axis=axis, keepdims=True)) / np.std(a, axis=axis, ddof=ddof, keepdims=True)


def entropy(pk: Any, qk: Any = None, base: Any = None, axis: Any = 0) -> Any:
    """scipy.stats.entropy: in both cases of shares of the whole."""
    shares = pk / np.sum(pk, axis=axis, keepdims=True)
    if qk is None:
        found = np.sum(special.entr(shares), axis=axis)
    else:
        found = np.sum(special.rel_entr(shares, qk / np.sum(qk, axis=axis, keepdims=True)), axis=axis)
    return found if base is None else found / np.log(base)


def geometric_mean(a: Any, axis: Any = 0) -> Any:
    """scipy.stats.gmean."""
    return np.exp(np.mean(np.log(a), axis=axis))


def harmonic_mean(a: Any, axis: Any = 0) -> Any:
    """scipy.stats.hmean."""
    return 1.0 / np.mean(1.0 / a, axis=axis)


def skewness(a: Any, axis: Any = 0) -> Any:
    """scipy.stats.skew."""
    return _central_moment(a, 3, axis) / _central_moment(a, 2, axis) ** 1.5


def kurtosis(a: Any, axis: Any = 0, fisher: bool = True) -> Any:
    """scipy.stats.kurtosis."""
    return _central_moment(a, 4, axis) / _central_moment(a, 2, axis) ** 2 - (3.0 if fisher else 0.0)


def _central_moment(a: Any, order: int, axis: Any) -> Any:
    return np.mean((a - np.mean(a, axis=axis, keepdims=True)) ** order, axis=axis)


FUNCTIONS: dict[str, Handler] = {
    "zscore": composed(scores),
    "entropy": composed(entropy),
    "gmean": composed(geometric_mean),
    "hmean": composed(harmonic_mean),
    "skew": composed(skewness),
    "kurtosis": composed(kurtosis),
}
_OF_SEVERAL: dict[str, dict[str, Handler]] = {
    "multivariate_normal": {"logpdf": composed(normal_logpdf), "pdf": composed(normal_pdf)},
    "dirichlet": {"logpdf": composed(dirichlet_logpdf)},
}


def distributions() -> Mapping[str, Mapping[str, Handler]]:
    """Return the handlers of methods, by the name of what has them in scipy.stats."""
    of_one = {name: methods_of(found) for name, found in vars(stats).items()
              if isinstance(found, (stats.rv_continuous, stats.rv_discrete))}
    return {**of_one, **_OF_SEVERAL}
