"""The Taylor test: remainders that fall as the square of the step, where the gradient is right along a direction."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from .._constants import UNIT_ROUNDOFF
from .._names import FUNCTION_OPTIONS, FunctionOptions
from .._types import Array
from .._validation import only_options, real_array
from ..problems.functions.purity import as_cost
from ..problems.functions.random_numbers import random_numbers_kept
from ..problems.parameters.layout import Layout
from ..report.report import Report
from ..verdict.outcome import Verdict
from .function import check_function

# Steps are halved at most this many times, and no further once remainders have been rounding for this many.
HALVINGS, LOST = 44, 4
# An order is taken from remainders this many times above their rounding; a window has this many of them.
CLEAR, ENOUGH = 16.0, 3
# LOST halvings further on, remainders are below this share of one that is no noise: 1 / 16 where they fall as the step.
STILL = 1.0 / 8.0
# Orders of neighbouring steps in one window differ by no more than this, and are at least that: below it is rounding.
SPREAD, LEAST = 0.15, 0.8
# Remainders fall as the square of the step, for certain, from this order on.
SQUARE = 1.85
# What it means that remainders fall as the square or not, beside the verdict on the slope.
MEANS: dict[tuple[bool, Verdict], str] = {
    (True, "pass"): "as they do where the gradient is right",
    (True, "inconclusive"): "as they do where the gradient is right; shorter steps show no order",
    (True, "fail"): "as curvature makes them, which hides there what the gradient is off by",
    (False, "pass"): "not as h^2: f is noisy or has a kink near there",
    (False, "inconclusive"): "not as h^2: f is noisy or has a kink near there, or the gradient is wrong",
    (False, "fail"): "not as h^2: the gradient is wrong",
}
# What reports call the one derivative.
ALONG = "f along the direction"


@dataclass(frozen=True)
class Line:
    """A function along a line, f(x + t d), as a cost of t.

    Parameters
    ----------
    f : the user's function; layout : of its argument; args : its further ones.
    at, along : (n,) x and d.
    """

    f: Callable[..., Any]
    layout: Layout
    at: Array
    along: Array
    args: tuple[Any, ...]
    rounding: None = None

    @property
    def user_code(self) -> tuple[Any, ...]:
        """What of the user's own is called."""
        return (self.f, *self.args)

    def __call__(self, parameters: Any) -> Any:
        """f at t."""
        return self.f(self.layout.views(self.at + parameters[ALONG] * self.along), *self.args)


@dataclass(frozen=True)
class Remainders:
    """Remainders of Taylor's formula with the gradient's slope, and the order in which they fall.

    Parameters
    ----------
    steps, remainders : (k,) from the longest step on, each half of the one before.
    orders : (k - 1,) log2 of neighbouring remainders; NaN where rounding shows.
    window : places of the first and the last step of the window; None where there is none.
    order : of the window; NaN without one.
    """

    steps: list[float]
    remainders: list[float]
    orders: list[float]
    window: tuple[int, int] | None
    order: float

    def sentence(self, verdict: Verdict) -> str:
        """Return what the remainders show, beside the verdict on the slope."""
        if self.window is None:
            return ("Taylor test: no order shows, since the remainders are rounding or curvature at every step"
                    f" from {self.steps[0]:.0e} to {self.steps[-1]:.0e}.")
        first, last = (self.steps[place] for place in self.window)
        means = MEANS[self.order >= SQUARE, verdict]
        return f"Taylor test: remainders fall as h^{self.order:.2f} from h = {first:.0e} to {last:.0e}, {means}."

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        window = None if self.window is None else [self.steps[place] for place in self.window]
        return {"steps": self.steps, "remainders": self.remainders, "orders": self.orders, "window": window,
                "order": self.order}


@random_numbers_kept()
def check_taylor(
    f: Callable[..., Any], x: Any, direction: Any, gradient: Any, *, args: tuple[Any, ...] = (),
    **options: Unpack[FunctionOptions],
) -> Report:
    """Check a gradient along one direction, as adjoint codes do: by the remainders of Taylor's formula.

    The remainder f(x + h d) - f(x) - h <gradient, d> falls as h^2 where the gradient is right, and as h where it is
    wrong.  The window of steps in which its order shows, between curvature and rounding, is found from the remainders
    themselves.  The verdict rests on more than the order: the slope along the direction is compared as
    ``fastcheck.check_function`` compares derivatives, exactly where f is made of NumPy operations.

    Parameters
    ----------
    f : f(x, *args) -> number.
    x : an array, a number, or dictionaries and lists of them.
    direction : the same structure and shapes.
    gradient : the same, or the number <gradient, direction>.
    args : further arguments of f.
    options : as for ``fastcheck.check_function``.

    Returns
    -------
    Report : of one derivative, "along the direction"; ``facts["taylor"]`` has ``steps``, ``remainders``, ``orders``
        (one less) and ``window`` (first and last step of the window, or None), and a note says what they show.

    Raises
    ------
    ValueError, TypeError : for structures that do not fit, and a direction of zeros.

    Examples
    --------
    >>> x = np.arange(1.0, 4.0)
    >>> report = check_taylor(lambda x: np.sum(np.sin(x)), x, np.ones(3), np.cos(x))
    >>> report.verdict, round(report.facts["taylor"]["order"], 2)
    ('pass', 2.0)
    """
    only_options("check_taylor", options, (*FUNCTION_OPTIONS, "epsilon", "seed", "vectorized"))
    layout = Layout.of(x, "x")
    at, along = layout.parameters(x, "x").vector, layout.parameters(direction, "direction").vector
    if not np.isfinite(along).all() or not along.any():
        raise ValueError("direction: expected finite numbers that are not all zero, got others")
    slope = _slope(gradient, layout, along)
    line = Line(f, layout, at, along, tuple(args))
    report = check_function(line, {ALONG: 0.0}, {ALONG: slope}, **options)
    found = remainders_of(line, slope, float(np.linalg.norm(at) or 1.0) / float(np.linalg.norm(along)), report.cost)
    return report.noted(found.sentence(report.verdict)).told(taylor=found.to_dict())


def _slope(gradient: Any, layout: Layout, along: Array) -> float:
    """<gradient, direction>, from a gradient or as it was given."""
    if np.ndim(gradient) == 0 and not isinstance(gradient, (dict, list, tuple)) and layout.size > 1:
        return float(real_array("gradient", gradient))
    return float(layout.gradients(gradient, "gradient").vector @ along)


def remainders_of(line: Callable[[Any], Any], slope: float, longest: float, value: float) -> Remainders:
    """Remainders f(x + h d) - f(x) - h slope for halved steps, and their window.

    Parameters
    ----------
    line : the function along the line; slope : the gradient's along it; value : f(x).
    longest : the first step.
    """
    steps: list[float] = []
    remainders: list[float] = []
    roundings: list[float] = []
    lost = 0
    for halving in range(HALVINGS):
        step = longest * 0.5**halving
        there = _value(line, step)
        remainder = abs(there - value - step * slope)
        if not math.isfinite(remainder):
            continue
        steps.append(step)
        remainders.append(remainder)
        roundings.append(UNIT_ROUNDOFF * (abs(value) + abs(there) + abs(step * slope)))
        lost = 0 if remainder > CLEAR * roundings[-1] else lost + 1
        if lost == LOST:
            break
    orders = _orders(remainders, roundings)
    window = _window(orders)
    order = math.nan if window is None else float(np.median(orders[window[0] : window[1]]))
    return Remainders(steps or [longest], remainders, orders, window, order)


def _orders(remainders: Sequence[float], roundings: Sequence[float]) -> list[float]:
    """log2 of neighbouring remainders; NaN where the second is rounding, or noise: what no longer falls is."""
    orders = []
    for place in range(1, len(remainders)):
        noise = max(remainders[place + LOST :], default=0.0)
        clear = remainders[place] > CLEAR * roundings[place] and STILL * remainders[place] >= noise
        orders.append(math.log2(remainders[place - 1] / remainders[place]) if clear else math.nan)
    return orders


def _value(line: Callable[[Any], Any], step: float) -> float:
    try:
        with np.errstate(all="ignore"):
            return float(as_cost(line({ALONG: step})))
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):  # outside of its domain: a shorter step may be inside
        return math.nan


def _window(orders: Sequence[float]) -> tuple[int, int] | None:
    """Places of the first and last step of the last run of equal orders: what is left at short steps decides."""
    best, first = None, 0
    for place in range(len(orders)):
        while first <= place and not _alike(orders[first : place + 1]):
            first += 1
        if place + 1 - first >= ENOUGH:
            best = (first, place + 1)
    return best


def _alike(orders: Sequence[float]) -> bool:
    return all(order >= LEAST for order in orders) and max(orders) - min(orders) <= SPREAD
