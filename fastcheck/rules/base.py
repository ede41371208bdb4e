"""What a rule is, and what all rules use: operands that stand still, zero changes, exact sums.

A rule gives the change of an operation's output from its operands' values and changes::

    change(xp, values, changes, out, branches, **options) -> change of out

where

- ``xp`` is an array namespace (``numpy``, ``torch``, ``jax.numpy``), all moving arrays double precision;
- ``values`` are the operands' values; ``changes``, as many, are their changes, None where an operand stands still
  (at least one moves).  A change has any number of batch axes *before* its operand's own axes.  The changes of
  elementwise operations arrive with their own axes lifted to the output's number, so that broadcasting is right;
- ``out`` is the operation's value;
- ``branches`` is a ``branches.Branches``, or None where nobody asks who crossed a kink;
- axis options are tuples of negative integers, the same with and without batch axes.

It returns an array that broadcasts to the batch axes followed by ``out``'s shape.  A change of any size comes out
right to rounding, relative to the terms that are summed; an exactly zero change gives an exactly zero one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Change = Callable[..., Any]
Values = tuple[Any, ...]
Changes = tuple[Any, ...]


@dataclass(frozen=True)
class Rule:
    """The exact difference of one operation.

    Parameters
    ----------
    change : the function described above.
    elementwise : whether the operands broadcast against each other, element by element.
    discrete : whether the output takes separate values, so that its change is zero between its jumps.
    complex : whether it holds for complex numbers; in the table, other rules refuse them.
    kernel : the name of the same function among the compiled kernels (``activations.ACTIVATIONS``), if it has one.
    """

    change: Change
    elementwise: bool = True
    discrete: bool = False
    complex: bool = False
    kernel: str | None = None


def moved(value: Any, change: Any) -> Any:
    """value + change, the value itself where it stands still."""
    return value if change is None else value + change


def plus(a: Any, b: Any) -> Any:
    """Return the sum of two changes of which either may be None, for nothing."""
    if a is None:
        return b
    return a if b is None else a + b


def or_zero(change: Any) -> Any:
    """Return the change as something to calculate with."""
    return 0.0 if change is None else change


def product_change(a: Any, b: Any, da: Any, db: Any) -> Any:
    """Return the change of a product, da b + (a + da) db; None for a factor that stands still."""
    return plus(None if da is None else da * b, None if db is None else moved(a, da) * db)


def still_where_still(xp: Any, result: Any, *changes: Any) -> Any:
    """``result``, but zero where all of ``changes`` are exactly zero: there, 0/0 stands for no change."""
    moves = None
    for change in changes:
        if change is not None:
            moves = change != 0.0 if moves is None else moves | (change != 0.0)
    return xp.where(moves, result, 0.0)


def two_sum(xp: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """a + b as a rounded sum and its error (Knuth); the error is zero where the sum is not finite."""
    total = a + b
    part = total - a
    error = (a - (total - part)) + (b - part)
    return total, xp.where(xp.isfinite(error), error, 0.0)


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    """a b as a rounded product and its error (Dekker), for magnitudes below 1e140."""
    product = a * b
    a_head, a_tail = split(a)
    b_head, b_tail = split(b)
    return product, ((a_head * b_head - product) + a_head * b_tail + a_tail * b_head) + a_tail * b_tail


def split(a: Any) -> tuple[Any, Any]:
    """a as the sum of two numbers of 26 bits (Veltkamp)."""
    scaled = 134217729.0 * a
    head = scaled - (scaled - a)
    return head, a - head
