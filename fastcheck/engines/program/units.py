"""Derivatives by what enters a product, from the responses of the product's output.

Where an input enters a product z = W . a (a matrix product, an einsum, a convolution), moving one entry of W moves z by
multiples of entries of a.  Let r be the cost's derivative by each entry of z, with everything before z held still;
then the derivative by W is the adjoint of the product, sum over entries of z of r times what stands beside W there.
So it is with what is broadcast and added to z, as a bias is, and with entries that are added up before anything else
happens to them, such as rows of an embedding: one stands beside them.
An input that enters several products (time steps, shared weights) adds them up: moving one copy at a time leaves out
what two copies do together, which is of second order, and of third in the difference of both signs.  The responses r
are differences like all others; z has one entry for each unit and position, far fewer than W has where W is large, and
its colours put samples together that do not mix further on.  A loop over samples has a z for each of them; those that
do not meet are moved as one.

Beside the central difference goes half the jump from the left to the right at a kink: it does not change its sign with
the direction, so its adjoint takes absolute values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._types import Array
from .adjoints import Product
from .places import Place
from .quotients import Quotients
from .runner import Runner, ranges

if TYPE_CHECKING:
    from numpy.random import Generator

# Products of this many pairs of entries are done before a quicker way to them has been looked for.
SMALL_PRODUCT = 1 << 14
# Two sites whose responses to one random change agree to this share of the largest are one and the same to the cost.
SAME = 1e-10
# Sites that are compared with one another at a time: those that add up stand close together in a program.
TOGETHER = 32
# ... and numbers of changes that others of another shape share a run up to.
FEW_NUMBERS = 1 << 16
# From this many places on that are alike it is tried whether they can be moved as one.
MANY_ALIKE = 4


@dataclass(frozen=True, eq=False)
class Unit:
    """A product with the place of its output."""

    product: Product
    place: Place

    def adjoint(self, response: Array, *, absolute: bool = False) -> Array:
        """Return what responses of the output are to the input: flat, both.

        Parameters
        ----------
        response : one for each entry of the product's output.
        absolute : take the other operand without its signs.
        """
        product, other = self.product, np.asarray(self.product.other)
        beside, shaped = np.abs(other) if absolute else other, response.reshape(self.place.shape)
        if isinstance(product.contraction, str):
            large = shaped.size * beside.size > SMALL_PRODUCT
            operand = np.einsum(turned(product.contraction, product.side), shaped, beside, optimize=large)
        else:
            operand = product.contraction(shaped, beside)
        weights = np.abs(product.weights) if absolute else product.weights
        return np.asarray(weights * operand, dtype=np.float64).reshape(-1)


def turned(contraction: str, side: int) -> str:
    """Return the einsum of (output, other operand) that is the adjoint of ``contraction`` in its operand ``side``."""
    operands, out = contraction.split("->")
    mine, other = operands.split(",")[:: 1 - 2 * side]
    return f"{out},{other}->{mine}"


def units_of(products: Sequence[Product]) -> list[Unit]:
    """Return the products, with one place for each site."""
    places: dict[int, Place] = {}
    for product in products:
        if product.site not in places:
            places[product.site] = Place(product.site, np.asarray(product.value, dtype=np.float64), inside=True)
    return [Unit(product, places[product.site]) for product in products]


def merged(places: Sequence[Place], runner: Runner, generator: "Generator") -> dict[Place, Place]:
    """For each place one that stands for it: places that the cost cannot tell apart have the same.

    Notes
    -----
    A random change is made at each of them.  Two linear maps that agree on it agree everywhere but for a chance of
    probability zero, so what adds up before anything else happens (x @ Wx + h @ Wh) is responded to once.
    """
    found = {place: place for place in places}
    blocks = []
    for shape in dict.fromkeys(place.shape for place in places):
        alike = [place for place in places if place.shape == shape]
        most = min(TOGETHER, runner.most_columns([alike[0].size] * TOGETHER))
        blocks += [alike[block] for block in ranges(len(alike), most)]
    for several in _sharing_runs([block for block in blocks if len(block) > 1]):
        _merge(several, found, runner, generator)
    return found


def _sharing_runs(blocks: Sequence[Sequence[Place]]) -> Iterator[list[Sequence[Place]]]:
    """Yield blocks of places that are compared in one run, each in rows of its own: several where they are small."""
    several: list[Sequence[Place]] = []
    for block in blocks:
        places = [place for one in [*several, block] for place in one]
        if several and len(places) * sum(place.size for place in places) > FEW_NUMBERS:
            yield several
            several = []
        several.append(block)
    if several:
        yield several


def bundled(units: Sequence[Unit]) -> tuple[list[Place], list[Place]]:
    """Return the places of products, those as one that are many and alike in shape and in what enters there.

    What a loop over samples multiplies stands in as many places as there are samples, which do not meet.

    Returns
    -------
    Places that are several, and the others.
    """
    groups: dict[Any, dict[int, Place]] = {}
    seen = set()
    for unit in units:
        if unit.place.number not in seen:
            seen.add(unit.place.number)
            owners = np.asarray(unit.product.owners).reshape(-1)
            key = unit.place.shape, unit.product.input, owners.size, *owners[:1].tolist()
            groups.setdefault(key, {})[unit.place.number] = unit.place
    many = [list(alike.values()) for alike in groups.values() if len(alike) >= MANY_ALIKE]
    few = [place for alike in groups.values() if len(alike) < MANY_ALIKE for place in alike.values()]
    return [Place(alike[0].number, np.stack([place.value for place in alike]), inside=True,
                  several=tuple(place.number for place in alike)) for alike in many], few


def _merge(
    blocks: Sequence[Sequence[Place]], found: dict[Place, Place], runner: Runner, generator: "Generator"
) -> None:
    """Point the places of each block, which are of one shape, to the first of them that responds as they do."""
    places = [place for block in blocks for place in block]
    moved: list[tuple[Place, Array]] = []
    for block in blocks:
        amount = generator.uniform(0.5, 1.5, block[0].size) * block[0].step
        for place in block:
            change = np.zeros((len(places), place.size))
            change[len(moved)] = amount
            moved.append((place, change))
    response = runner.run(moved)
    rows = np.concatenate([np.zeros((len(places), 0)), *(change for _, change in response.moving())], axis=1)
    largest = np.abs(rows).max(axis=1, initial=0.0)
    first = 0
    for block in blocks:
        for row in range(first, first + len(block)):
            apart = np.abs(rows[first:row] - rows[row]).max(axis=1, initial=0.0)
            for earlier in np.flatnonzero(apart <= SAME * largest[first:row]).tolist():
                if found[block[earlier]] is block[earlier]:
                    found[block[row - first]] = block[earlier]
                    break
        first += len(block)


def combined(units: Sequence[Unit], responses: Sequence[Quotients], size: int) -> Quotients:
    """Quotients of an input's entries from those of the outputs of all products it enters.

    Parameters
    ----------
    units : the products of one input.
    responses : of their outputs, one for each.
    size : of the input.
    """
    found = Quotients.of(size)
    slope, bend = np.zeros(size), np.zeros(size)
    touched = np.zeros(size)
    for unit, response in zip(units, responses, strict=True):
        owners = np.asarray(unit.product.owners).reshape(-1)
        inside = owners >= 0
        owners = owners[inside]
        for total, values, absolute in (
            (slope, response.slope, False), (bend, response.bend, True), (found.terms, response.terms, True),
            (touched, response.flagged.astype(np.float64), True), (found.unseen, response.unseen, True),
        ):
            if absolute and not values.any():
                continue
            total += np.bincount(owners, unit.adjoint(values, absolute=absolute)[inside], size)
    found.right[:], found.left[:] = slope + bend, slope - bend
    found.flagged[:] = touched > 0.0
    found.done[:] = all(response.done.all() for response in responses)
    return found
