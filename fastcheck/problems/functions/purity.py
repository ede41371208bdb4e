"""Is the cost a function at all?  One number for one theta, the same each time, and theta left alone."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._errors import ChangedArgumentError, NondeterministicError
from ..._types import Array
from ..._validation import no_result

# Differences below this, relatively, are rounding: sums over several threads may be ordered differently each time.
ROUNDING_LEVEL = 1e-12


def as_cost(value: Any, *, complex_allowed: bool = False) -> Any:
    """Return a cost as float (or complex, where allowed).

    Parameters
    ----------
    value : what the user's cost returned: a number, or an array of one number and any number of axes.

    Raises
    ------
    TypeError : for anything else, with what to do.
    """
    if type(value) is float or type(value) is np.float64:  # nearly always, and much quicker to ask
        return float(value)
    if nothing := no_result(value):
        raise TypeError(f"cost: expected a number, got {nothing}")
    if isinstance(value, (tuple, list)) and len(value) > 1:
        raise TypeError(f"cost: expected a number, got a {type(value).__name__} of {len(value)}; return the first of "
                        "them alone where that is the cost (loss(...)[0])")
    try:
        array = np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(f"cost: expected a number, got {type(value).__name__}: {error}") from None
    if array.dtype.kind not in "fiuc":
        raise TypeError(f"cost: expected a real number, got {type(value).__name__} of dtype {array.dtype}")
    if array.size != 1:
        raise TypeError(f"cost: expected one number, got an array of shape {array.shape}; sum or average it, "
                        "or pass vectorized=True if it takes a stack of parameters")
    number = array.reshape(())[()]
    if array.dtype.kind == "c" and not complex_allowed:
        raise TypeError("cost: expected a real number, got a complex one; return its real part, or pass "
                        "complex_step=True to check_function if the cost is analytic")
    return complex(number) if array.dtype.kind == "c" else float(number)


def outside_domain(error: Exception) -> bool:
    """Tell whether a cost that raised this near theta may say that it is not defined there: its value is then nan.

    Where no costs are left to difference, it is raised after all.
    """
    return isinstance(error, (ArithmeticError, np.linalg.LinAlgError, ValueError, AssertionError))


def same(first: float, second: float) -> bool:
    """Tell whether two values of a cost at one theta are the same but for the rounding of sums in another order."""
    if not (math.isfinite(first) and math.isfinite(second)):
        return first == second or (math.isnan(first) and math.isnan(second))
    return abs(first - second) <= ROUNDING_LEVEL * max(abs(first), abs(second))


def require_same(first: float, again: float, when: str) -> None:
    """Raise NondeterministicError unless two values of the cost at one theta agree."""
    if not same(first, again):
        raise NondeterministicError(
            f"the cost is not a function of its parameters: {first!r} and then {again!r} at the same theta {when}. "
            "Likely causes: dropout left on, random numbers drawn without a fixed seed, or state that moves with each "
            "call (batch statistics, running averages). Switch it off, or fix it inside the cost"
        )


def examine(cost_at: Callable[[Array], float], theta: Array, deadline: float) -> tuple[float, float]:
    """J(theta), once the cost has shown that it is a function of theta and leaves theta alone.

    Parameters
    ----------
    cost_at : the cost of a vector (n,), which it may not change.
    theta : (n,).
    deadline : of ``time.perf_counter``, after which the cost is not asked again.

    Returns
    -------
    J(theta), not finite where the cost is not; and the seconds of one evaluation.

    Raises
    ------
    ChangedArgumentError, NondeterministicError.

    Notes
    -----
    Between the two evaluations lies one at other parameters: state that follows the parameters shows only then.
    """
    started = time.perf_counter()
    first = cost_at(unchanged := theta.copy())
    require_unchanged(unchanged, theta)
    once = time.perf_counter()
    if once < deadline:
        cost_at(theta + 1e-6 * np.where(theta == 0.0, 1.0, theta))
    twice = time.perf_counter()
    if twice < deadline:
        require_same(first, cost_at(theta.copy()), "in the same run")
    # The first call may have had something to load or to compile.
    seconds = time.perf_counter() - twice if twice < deadline else max(once - started, twice - once)
    return first, max(seconds, 0.0)


def require_unchanged(after: Array, before: Array) -> None:
    """Raise ChangedArgumentError if the cost wrote to its parameters."""
    count = np.count_nonzero((after != before) & ~(np.isnan(after) & np.isnan(before)))
    if count:
        raise ChangedArgumentError(
            f"the cost changed its own argument: {count} of {before.size} parameters differ after the call. "
            "Work on a copy inside the cost (W = W.copy()), and avoid W += ... and out=W"
        )
