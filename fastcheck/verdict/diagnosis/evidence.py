"""What claims about a failing gradient rest on: inner products and comparisons with models, in chunks."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._constants import NORM_SIGMAS
from ..._types import Array
from ...problems.gradients import AnalyticGradient
from ..comparison import Comparison
from ..judgement import TensorVerdict

# A claim leaves no more than this of the gradient, and no more than that of the disagreement.
LEFT_OF_GRADIENT = 1e-6
LEFT_OF_ERROR = 1e-2
# An error below this share of the gradient is too much rounding for claims about it.
ROUNDING = 1e-12
# Factors from here on are written with three decimals: a tenth, and what rounding makes of it.
TENTH = 0.1 * (1.0 - 1e-6)
# Up to this many rows, columns or entries are named one by one.
FEW = 3


@dataclass(frozen=True)
class Case:
    """A tensor that failed, and what the claims may look at.

    found : its verdict; subject : all tensors; others : the verdicts of all tensors.
    """

    found: TensorVerdict
    subject: AnalyticGradient
    others: Sequence[TensorVerdict]

    @property
    def comparison(self) -> Comparison:
        """The tensor's entries."""
        return self.found.comparison

    @property
    def name(self) -> str:
        """What messages call the gradient: dW2."""
        return f"d{self.found.name}"

    @property
    def whole(self) -> bool:
        """Whether the tensor is a matrix or vector all of whose entries were checked."""
        return self.comparison.where is None and len(self.comparison.tensor.shape) == 2

    @property
    def all_checked(self) -> bool:
        """Whether all entries of an array, not of a plain number, were checked."""
        return self.comparison.where is None and len(self.comparison.tensor.shape) > 0

    def arrays(self) -> tuple[Array, Array]:
        """Gradient and numerical gradient in the tensor's shape, where all entries were checked."""
        return self.matrices()

    def matrices(self) -> tuple[Array, Array]:
        """Gradient and numerical gradient in the tensor's shape, for whole tensors."""
        shape = self.comparison.tensor.shape
        return self.comparison.gradient.reshape(shape), self.comparison.derivative.reshape(shape)

    def parameters(self, tensor: Comparison) -> Array:
        """The parameters at the checked entries of a tensor; a view where all are checked."""
        whole = self.subject.theta[tensor.tensor.start : tensor.tensor.stop]
        return whole if tensor.where is None else whole[tensor.where]

    def explained(self, left: float, error: float, size: float) -> bool:
        """Whether a claim leaves so little that it is proved (Euclidean norms, in the tensor's unit)."""
        precision = max(LEFT_OF_GRADIENT, 10.0 * self.found.tolerance)
        if self.noise > LEFT_OF_ERROR * min(error, size):
            return False
        return left <= precision * size + self.noise and left <= LEFT_OF_ERROR * error

    @property
    def noise(self) -> float:
        """What noise may make of the norm of the numerical gradient, in the tensor's unit."""
        c = self.comparison
        return NORM_SIGMAS * c.noise_floor * c.unit * math.sqrt(c.checked)


@dataclass(frozen=True)
class Products:
    """Inner products of x and y: ``x @ x``, ``y @ y``, ``x @ y`` and of their difference with itself."""

    xx: float
    yy: float
    xy: float
    error: float

    @property
    def factor(self) -> float:
        """The c for which x is nearest c y."""
        return self.xy / self.yy if self.yy > 0.0 else 0.0

    def left(self, factor: float) -> float:
        """||x - factor y||, as accurate as the products: about 1e-8 of ||x||."""
        return math.sqrt(max(self.xx - 2.0 * factor * self.xy + factor * factor * self.yy, 0.0))


def products(case: Case, added: float = 0.0) -> Products:
    """Inner products of gradient + added theta with gradapprox + added theta, kinks left out."""
    xx = yy = xy = error = 0.0
    c = case.comparison
    theta = case.parameters(c) if added else None
    for part in c.entries():
        x, y = part.gradient, part.approx
        if theta is not None:
            shift = added * c.unit * theta[part.first : part.first + x.size]
            x, y = x + shift, y + shift
        inside = c.kinks_within(part.first, x.size)
        x[inside] = y[inside] = 0.0  # at kinks the central difference is not what the gradient should be
        d = x - y
        xx, yy, xy, error = xx + float(x @ x), yy + float(y @ y), xy + float(x @ y), error + float(d @ d)
    return Products(xx, yy, xy, error)


def left_by(case: Case, factor: float, added: float) -> float:
    """||x - factor y|| with x and y as in ``products``, entry by entry: it keeps the digits that cancel there."""
    c, left = case.comparison, 0.0
    theta = case.parameters(c) if added else None
    for part in c.entries():
        off = part.gradient - factor * part.approx
        if theta is not None:
            off += (1.0 - factor) * added * c.unit * theta[part.first : part.first + off.size]
        off[c.kinks_within(part.first, off.size)] = 0.0
        left += float(off @ off)
    return math.sqrt(left)


def multiple_of(case: Case, direction: Array, added: float) -> float | None:
    """The c for which gradient + added theta - gradapprox is c times ``direction``; None where there is none."""
    c, unit = case.comparison, case.comparison.unit
    theta = case.parameters(c)
    dd = dw = ww = 0.0
    moved = 0
    for part in c.entries():
        rows = slice(part.first, part.first + part.error.size)
        off = part.gradient - part.approx + added * unit * theta[rows]
        off[c.kinks_within(part.first, off.size)] = 0.0
        w = direction[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # sums beyond double precision claim nothing below
            dd, dw, ww = dd + float(off @ off), dw + float(off @ w), ww + float(w @ w)
        moved += int(np.count_nonzero((off != 0.0) & (w != 0.0)))
    # One entry is a multiple of any other.
    if moved < 2 or ww == 0.0 or not math.isfinite(dd + dw + ww):
        return None
    found = Products(dd, ww, dw, dd)
    noise = ROUNDING * (c.sizes.gradient + c.sizes.approx) * unit + case.noise
    if noise > LEFT_OF_ERROR * math.sqrt(dd) or found.left(found.factor) > LEFT_OF_GRADIENT * math.sqrt(dd) + noise:
        return None
    return found.factor / unit


def same(case: Case, model: Callable[[slice], Array]) -> bool:
    """Whether the gradient equals a model of it, given by rows."""
    c, left = case.comparison, 0.0
    gradient = case.matrices()[0]
    for rows in biggest_rows(gradient):
        d = (gradient[rows] - model(rows)) * c.unit
        left += float(np.vdot(d, d))
    return case.explained(math.sqrt(left), c.sizes.error * c.unit, c.sizes.gradient * c.unit)


def fits(case: Case, model: Array) -> bool:
    """Whether the gradient equals a model of it, in the tensor's shape, where all entries were checked.  At kinks,
    where several derivatives are right, no model is asked for more.
    """
    c = case.comparison
    d = (case.arrays()[0] - model).reshape(-1) * c.unit
    d[c.kinks_within(0, d.size)] = 0.0
    left = float(np.linalg.norm(d))
    return case.explained(left, c.sizes.error * c.unit, min(c.sizes.gradient, c.sizes.approx) * c.unit)


def biggest_rows(matrix: Array) -> Iterator[slice]:
    """Slices of rows of about a million entries."""
    step = max(1, (1 << 20) // max(matrix.shape[1], 1))
    for start in range(0, matrix.shape[0], step):
        yield slice(start, start + step)


def wrong_entries(case: Case) -> NDArray[np.bool_]:
    """Which entries the verdict calls wrong, in the tensor's shape."""
    wrong = np.zeros(case.comparison.checked, dtype=bool)
    wrong[case.found.entries.wrong] = True
    return wrong.reshape(case.comparison.tensor.shape)


def number(value: float) -> str:
    """A factor as people write it: 2.000, -1.000, 1.001, 0.0078125."""
    if value != 1.0 and abs(value - 1.0) < 5e-4:
        return f"{value:.8g}"
    return f"{value:.3f}" if TENTH <= abs(value) < 1e4 else f"{value:.4g}"


def listed(kind: str, places: NDArray[np.intp], total: int) -> str:
    """Places in words: "row 3 of 512", "rows 3 and 7 of 512", "40 of 512 rows"."""
    if places.size == 1:
        return f"{kind} {places[0]} of {total}"
    if places.size <= FEW:
        return f"{kind}s {', '.join(map(str, places[:-1]))} and {places[-1]} of {total}"
    return f"{places.size} of {total} {kind}s"
