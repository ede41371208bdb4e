"""Masks that differ between perturbations: the entries that change side are taken by where, both ways."""

from typing import Any

import numpy as np

from ...._errors import NoRule
from .array import DifferenceArray
from .elementwise import write


def put_where(array: DifferenceArray, mask: DifferenceArray, content: Any) -> None:
    """``array[mask] = content`` for content that does not depend on how many entries the mask takes.

    It counts as no operation, as assignment through a mask that stays is none: runs that cross count alike.
    """
    if np.ndim(content) or mask.ndim != array.ndim:
        raise NoRule(
            "an assignment through a mask that differs between perturbations",
            "use numpy.where, or check at other inputs",
        )
    with array.run.inside():
        write(array, array.run.tables.operate(array.run, "where", np.where, (mask, content, array)))
