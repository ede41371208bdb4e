"""Bilinear operations: matrix products, convolutions, einsum, outer and inner products."""

from collections.abc import Callable
from typing import Any

from .base import moved, plus


def bilinear(product: Callable[[Any, Any], Any], a: Any, b: Any, da: Any, db: Any) -> Any:
    """product(da, b) + product(a + da, db).

    Parameters
    ----------
    product : linear in each of its two arguments; a change that it is given has batch axes in front.
    a, b : the operands' values.
    da, db : their changes; None where one stands still.
    """
    return plus(
        None if da is None else product(da, b),
        None if db is None else product(moved(a, da), db),
    )
