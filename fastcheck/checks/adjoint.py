"""The dot-product test: <A x, y> against <x, At y>, for linear operators and their adjoints."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._constants import NOISE_SIGMAS, RESOLVED, TOLERANCE, UNIT_ROUNDOFFS
from .._validation import integer, no_result, real_number, tolerance_of
from ..problems.functions.random_numbers import random_numbers_kept
from ..verdict.outcome import FAIL, INCONCLUSIVE, PASS, Judged, Verdict

# Pairs of random x and y, unless the caller says how many.
PAIRS = 3


@dataclass(frozen=True)
class Adjoint(Judged):
    """What a dot-product test found.

    Parameters
    ----------
    verdict : "pass", "fail" or "inconclusive".
    left, right : <A x, y> and <x, At y>, one for each pair.
    difference : the largest |left - right| / (|left| + |right|).
    precision : the largest |left - right| / (|A x| |y| + |x| |At y|): what has been shown, whatever cancels in a dot.
    tolerance : largest difference allowed.
    rounding : what rounding alone may make of ``precision``.
    linear : whether A is linear at these x, to within rounding.
    seed, seconds : of the random pairs; how long it took.
    """

    verdict: Verdict
    left: tuple[complex, ...]
    right: tuple[complex, ...]
    difference: float
    precision: float
    tolerance: float
    rounding: float
    linear: bool
    seed: int
    seconds: float

    def __str__(self) -> str:
        """Return a few lines: the verdict, the dot products, and what they prove."""
        lines = [
            f"{self.verdict.upper()}  <A x, y> and <x, At y> differ by {self.difference:.2e} "
            f"(tolerance {self.tolerance:.2g})",
            *(f"  <A x, y> {_text(one)}  <x, At y> {_text(other)}"
              for one, other in zip(self.left, self.right, strict=True)),
            f"That is {self.precision:.1e} of |A x| |y| + |x| |At y|, of which rounding explains {self.rounding:.0e}.",
        ]
        if not self.linear:
            lines.append("A is not linear: A(x + z) is not A(x) + A(z). Test its derivative at a point instead.")
        elif self.verdict == FAIL and (ratio := self._ratio()) is not None:
            lines.append(f"Every <x, At y> is {ratio:.6g} times <A x, y>.")
        elif not any(map(abs, (*self.left, *self.right))):
            lines.append("All dot products are zero: nothing was exercised.")
        elif self.verdict == INCONCLUSIVE:
            lines.append("Rounding is no small share of the dot products: test in double precision.")
        return "\n".join(lines)

    def _ratio(self) -> float | None:
        """Return the factor by which all dots differ; None where it is not one."""
        if any(abs(one) == 0.0 for one in self.left):
            return None
        ratios = [other / one for one, other in zip(self.left, self.right, strict=True)]
        same = all(abs(ratio - ratios[0]) <= 1e-6 * abs(ratios[0]) for ratio in ratios)
        return ratios[0].real if len(ratios) > 1 and same and abs(ratios[0].imag) <= 1e-12 * abs(ratios[0]) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists; complex dots as pairs."""
        found = asdict(self)
        for name in ("left", "right"):
            found[name] = [dot.real if dot.imag == 0.0 else [dot.real, dot.imag] for dot in found[name]]
        return found


@random_numbers_kept()
def check_adjoint(
    A: Any, At: Any, x: Any = None, *, pairs: int = PAIRS, tolerance: float | None = None, seed: int = 0
) -> Adjoint:
    """Check that one linear operator is the adjoint of another, by dot products with random vectors.

    Parameters
    ----------
    A : a function of an array, a matrix, or what has a ``shape`` and ``@`` (scipy.sparse, LinearOperator).
    At : its adjoint, likewise; for complex arrays the conjugate transpose.
    x : an array of the shape and dtype that A takes, or its shape; None where A has a ``shape``.
    pairs : number of random x and y.
    tolerance : largest relative difference; None for 1e-7, or what the arrays' precision allows.
    seed : of the random vectors, normal ones.

    Returns
    -------
    Adjoint : ``verdict``, ``difference``, ``precision`` (what has been shown); it is true where the verdict is "pass",
        and its text names both dot products.

    Raises
    ------
    TypeError, ValueError : for operators that cannot be called, and results whose shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.arange(6.0).reshape(2, 3)
    >>> check_adjoint(A, A.T).verdict
    'pass'
    >>> check_adjoint(np.diff, lambda y: -np.diff(y, prepend=0.0, append=0.0), np.ones(5)).verdict
    'pass'

    Notes
    -----
    One wrong entry of m times n shows where it moves a dot product by more than the tolerance, and so for certain where
    it is larger than 1e-7 times the root mean square of the entries times the root of m n, or so.
    """
    started = time.perf_counter()
    integer("pairs", pairs, 1)
    asked, generator = tolerance_of(tolerance), np.random.default_rng(integer("seed", seed, 0))
    forward, adjoint = _function("A", A), _function("At", At)
    like = _example(A, x)
    left, right, scales, units, linear = [], [], [], [], True
    former: tuple[Any, Any] | None = None
    for _ in range(pairs):
        vector = _random(like, generator)
        image = _result("A", _called("A", forward, vector))
        probe = _random(image, generator)
        back = _result("At", _called("At", adjoint, probe))
        if back.shape != vector.shape:
            raise ValueError(f"At: expected a result of the shape {vector.shape} of x, got shape {back.shape}")
        dots = np.vdot(probe, image), np.vdot(back, vector)
        # over real numbers a complex result is a pair of them, and its dot product the real part
        left.append(complex(dots[0] if vector.dtype.kind == "c" else dots[0].real))
        right.append(complex(dots[1] if vector.dtype.kind == "c" else dots[1].real))
        scales.append(_norm(image) * _norm(probe) + _norm(vector) * _norm(back))
        units.append(max(_unit(one) for one in (vector, image, back)) * math.sqrt(max(image.size, vector.size, 1)))
        if former is not None:
            linear = linear and _is_linear(forward, former, (vector, image), units[-1])
        former = former or (vector, image)
    allowed = max(TOLERANCE, 64.0 * max(units)) if asked is None else asked
    verdict, difference, precision = _judged(left, right, scales, units, allowed)
    return Adjoint(verdict if linear else FAIL, tuple(left), tuple(right), difference, precision, allowed,
                   NOISE_SIGMAS * max(units), linear, seed, time.perf_counter() - started)


def _judged(
    left: list[complex], right: list[complex], scales: list[float], units: list[float], tolerance: float
) -> tuple[Verdict, float, float]:
    """Return the verdict, the largest difference of two dots relative to both, and relative to the norms."""
    verdict: Verdict = PASS
    difference = precision = 0.0
    for one, other, scale, unit in zip(left, right, scales, units, strict=True):
        apart, size, rounding = abs(one - other), abs(one) + abs(other), NOISE_SIGMAS * unit * scale
        if not math.isfinite(apart):
            return FAIL, math.nan, math.nan
        difference = max(difference, apart / size if size else 0.0)
        precision = max(precision, apart / scale if scale else 0.0)
        if apart > tolerance * size + rounding:
            verdict = FAIL
        elif verdict == PASS and (size == 0.0 or rounding > max(RESOLVED, tolerance) * size):
            verdict = INCONCLUSIVE
    return verdict, difference, precision


def _text(dot: complex) -> str:
    """Return a dot product, without an imaginary part that is zero."""
    return f"{dot.real:+.12e}" if dot.imag == 0.0 else f"{dot:+.12e}"


def _function(name: str, operator: Any) -> Callable[[Any], Any]:
    """Return an operator as a function."""
    if hasattr(operator, "shape") and hasattr(operator, "__matmul__"):
        return lambda vector: operator @ vector
    if not callable(operator):
        raise TypeError(f"{name}: expected a function or a matrix, got {type(operator).__name__}")
    found: Callable[[Any], Any] = operator
    return found


def _called(name: str, operator: Callable[[Any], Any], vector: NDArray[Any]) -> Any:
    """Return what an operator gives for an array of its own; what it raises is told to be its."""
    try:
        return operator(vector.copy())
    except Exception as error:
        error.add_note(f"fastcheck: raised by {name}, called with an array of shape {vector.shape}")
        raise


def _example(A: Any, x: Any) -> NDArray[Any]:
    """Return an array like those that A takes."""
    if x is None:
        if not hasattr(A, "shape") or len(A.shape) != 2:
            raise ValueError("x: expected an array of the shape that A takes, or its shape, got None")
        return np.zeros(A.shape[1], getattr(A, "dtype", None) or np.float64)
    if isinstance(x, (int, np.integer)) or (isinstance(x, (tuple, list)) and all(isinstance(n, int) for n in x)):
        return np.zeros(x if isinstance(x, (int, np.integer)) else tuple(x))
    return _result("x", x)


def _result(name: str, value: Any) -> NDArray[Any]:
    """Return what came as an array of numbers."""
    if nothing := no_result(value):
        raise TypeError(f"{name}: expected an array of numbers, got {nothing}")
    array = np.asarray(value)
    if array.dtype.kind not in "fciu":
        raise TypeError(f"{name}: expected an array of numbers, got {type(value).__name__} of dtype {array.dtype}")
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def _random(like: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
    """Normal numbers in the shape and dtype of an array."""
    found: NDArray[Any] = generator.standard_normal(like.shape)
    if like.dtype.kind == "c":
        found = found + 1j * generator.standard_normal(like.shape)
    return np.asarray(found).astype(like.dtype)


def _norm(array: NDArray[Any]) -> float:
    return float(np.linalg.norm(array.reshape(-1)))


def _unit(array: NDArray[Any]) -> float:
    """Return the unit roundoff of an array."""
    name = {"complex64": "float32", "complex128": "float64"}.get(array.dtype.name, array.dtype.name)
    return UNIT_ROUNDOFFS.get(name, UNIT_ROUNDOFFS["float64"])


def _is_linear(forward: Callable[[Any], Any], one: tuple[Any, Any], other: tuple[Any, Any], unit: float) -> bool:
    """Tell whether A(x + z) is A(x) + A(z), to within rounding."""
    together = _result("A", forward(one[0] + other[0]))
    size = _norm(one[1]) + _norm(other[1])
    return together.shape == one[1].shape and not _norm(together - one[1] - other[1]) > max(
        TOLERANCE, 64.0 * real_number("unit", unit)
    ) * size
