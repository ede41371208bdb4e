"""How each input is differenced with the fewest columns: entry by entry, by colours, or by the units it feeds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..._types import Indices
from .colouring import Colouring, discover, trial_columns
from .runner import Place, Runner
from .units import Product, Unit, merged, units_of

if TYPE_CHECKING:
    from numpy.random import Generator

# Looking for a better way may take this share of the columns that it could save.
SHARE = 0.5


@dataclass(frozen=True)
class Way:
    """How one input is differenced.

    Parameters
    ----------
    colouring : of its entries.
    units : the products that serve it instead; none where it is moved itself.
    sites : for each of them the colouring of the place that is moved.
    """

    colouring: Colouring
    units: tuple[Unit, ...] = ()
    sites: tuple[Colouring, ...] = ()

    @property
    def name(self) -> str:
        """ "entries", "colours" or "units"."""
        return "units" if self.units else "entries" if self.colouring.single else "colours"


@dataclass
class _Choice:
    """What is being weighed."""

    runner: Runner
    inputs: Sequence[Place]
    wanted: Sequence[Indices]
    ways: dict[int, Way] = field(default_factory=dict)

    def columns(self, number: int) -> int:
        """Columns, of one sign, that moving an input itself takes."""
        return int(np.unique(self.ways[number].colouring.colour[self.wanted[number]]).size)


def choose(
    runner: Runner, inputs: Sequence[Place], wanted: Sequence[Indices], generator: "Generator"
) -> list[Way]:
    """The way for each input.

    Parameters
    ----------
    runner : runs the program.
    inputs : of the program.
    wanted : the entries of each input that are to be differenced.
    generator : draws the amounts of what is tried.
    """
    found = _Choice(runner, inputs, wanted)
    found.ways = {number: Way(Colouring(place)) for number, place in enumerate(inputs)}
    worth = [n for n, place in enumerate(inputs) if trial_columns([place.shape]) < SHARE * wanted[n].size]
    colourings = discover([inputs[number] for number in worth], runner, generator) if worth else []
    found.ways.update({number: Way(colouring) for number, colouring in zip(worth, colourings, strict=True)})
    _take_units(found, generator)
    return [found.ways[number] for number in range(len(inputs))]


def _take_units(found: _Choice, generator: "Generator") -> None:
    """Let units serve the inputs that they serve in fewer columns."""
    program = found.runner.program
    products: Sequence[Product] = getattr(program, "products", ())
    complete = getattr(program, "complete", (False,) * len(found.inputs))
    serving = {
        number: [product for product in products if product.input == number]
        for number, whole in enumerate(complete) if whole and found.wanted[number].size
    }
    serving = {number: chosen for number, chosen in serving.items() if chosen and all(map(_usable, chosen))}
    shapes = {product.site: np.shape(product.value) for chosen in serving.values() for product in chosen}
    if not SHARE * sum(map(found.columns, serving)) > trial_columns(shapes.values()) + len(shapes):
        return
    units = {number: units_of(chosen) for number, chosen in serving.items()}
    places = {unit.place.number: unit.place for chosen in units.values() for unit in chosen}
    units = {number: [Unit(unit.product, places[unit.place.number]) for unit in chosen]
             for number, chosen in units.items()}
    stands_for = merged(list(places.values()), found.runner, generator)
    representatives = list(dict.fromkeys(stands_for.values()))
    colourings = dict(zip(representatives, discover(representatives, found.runner, generator), strict=True))
    needed = {number: {stands_for[unit.place] for unit in chosen} for number, chosen in units.items()}
    for number in _served(found, needed, colourings):
        chosen = units[number]
        found.ways[number] = Way(found.ways[number].colouring, tuple(chosen),
                                 tuple(colourings[stands_for[unit.place]] for unit in chosen))


def _usable(product: Product) -> bool:
    return product.contraction is not None and product.value is not None


def _served(
    found: _Choice, needed: dict[int, set[Place]], colourings: dict[Place, Colouring]
) -> list[int]:
    """Inputs that units serve in fewer columns than moving them takes, given that others pay for shared sites.

    Taking an input in can only make the others cheaper, so inputs are taken in, those that save most first, until
    none saves anything; groups that save together but not alone are found by starting from all and leaving out.
    """
    def cost(chosen: set[int]) -> int:
        sites = {place for number in chosen for place in needed[number]}
        moved = sum(found.columns(number) for number in needed if number not in chosen)
        return sum(colourings[place].count for place in sites) + moved

    best: set[int] = set()
    for start in (set(), set(needed)):
        chosen = set(start)
        while True:
            tries = [chosen ^ {number} for number in needed]
            better = min(tries, key=cost)
            if cost(better) >= cost(chosen):
                break
            chosen = better
        best = min(best, chosen, key=cost)
    return sorted(best)
