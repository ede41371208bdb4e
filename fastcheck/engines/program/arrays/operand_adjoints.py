"""What responses of a result are to an operand of the operation that made it: adjoints of products and sums.

Each takes the response, of the result's shape, and what stands beside the operand, and has the operand's shape.
"""


import numpy as np

from ...._types import Array
from ..adjoints import Adjoint, summed_to


def contraction(letters: str, side: int, shape: tuple[int, ...]) -> str | Adjoint:
    """Return the einsum string, or the adjoint where it alone would not give the operand's shape.

    Parameters
    ----------
    letters : the einsum string of the product.
    side : the operand in question.
    shape : its shape.
    """
    inputs, result = letters.split("->")
    parts = inputs.split(",")
    mine, other = parts[side], parts[1 - side]
    known = set(other) | set(result)
    if len(set(mine)) == len(mine) and 1 not in shape and set(mine) <= known:
        return letters

    def adjoint(response: Array, beside: Array) -> Array:
        kept = "".join(letter for letter in dict.fromkeys(mine) if letter in known)
        sums = np.einsum(f"{result},{other}->{kept}", response, beside, optimize=True)
        return _into_shape(sums, kept, mine, shape)

    return adjoint


def _into_shape(sums: Array, kept: str, mine: str, shape: tuple[int, ...]) -> Array:
    """What each entry of the operand gets: the sum where it was broadcast, nothing off a repeated letter's diagonal."""
    sizes = dict(zip(mine, shape, strict=True))
    short = tuple(axis for axis, letter in enumerate(kept) if sizes[letter] == 1)
    sums = np.sum(sums, axis=short, keepdims=True)
    full = np.zeros(shape)
    view = np.einsum(f"{mine}->{''.join(dict.fromkeys(mine))}", full) if mine else full
    spread = sums.reshape([sizes[letter] if letter in kept else 1 for letter in dict.fromkeys(mine)])
    view[...] = spread
    return full


def added(shape: tuple[int, ...]) -> Adjoint:
    """Return the adjoint of an operand of this shape that is broadcast and added, times a sign."""
    return lambda response, sign: np.asarray(sign * summed_to(response, shape))


def added_along(shape: tuple[int, ...], axes: tuple[int, ...]) -> Adjoint:
    """Return the adjoint of a sum of an operand of this shape along axes, times slopes."""
    kept = [1 if axis - len(shape) in axes else extent for axis, extent in enumerate(shape)]
    return lambda response, slopes: np.asarray(np.broadcast_to(response.reshape(kept), shape) * slopes)
