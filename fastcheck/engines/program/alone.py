"""The one wrong entry: along two directions through everything its error shows in the ratio of what it moves there.

If the gradient is wrong by e at entry j alone, it is off by e v_j along each direction v.  The quotient of what it is
off by along two of them is that of their j-th steps, which are random: hardly another entry has the same.
"""

from collections.abc import Mapping

import numpy as np

from ..._types import Array
from .places import Place

# Entries with the nearest quotients that are moved by themselves: rounding leaves a few of a million as likely.
CANDIDATES = 8


def likeliest(columns: Mapping[Place, Array], apart: Array) -> list[tuple[Place, int]]:
    """Return the entries whose steps along the first two directions are in the ratio of what a gradient is off by.

    Parameters
    ----------
    columns : of each input, the directions' steps, (k, its size), k >= 2.
    apart : (k,) what the gradient is off by along them.

    Returns
    -------
    list : at most CANDIDATES, the nearest first.
    """
    found: list[tuple[float, Place, int]] = []
    for place, block in columns.items():
        first, second = block[0], block[1]
        residual = np.abs(second * apart[0] - first * apart[1]) / (np.abs(first) + np.abs(second))
        few = min(CANDIDATES, residual.size)
        found += [(float(residual[entry]), place, int(entry))
                  for entry in np.argpartition(residual, few - 1)[:few]]
    found.sort(key=lambda one: one[0])
    return [(place, entry) for _, place, entry in found[:CANDIDATES]]
