"""How each input is differenced with the fewest columns: entry by entry, by colours, or by the units it feeds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._types import Indices, Mask
from .adjoints import Product
from .colouring import Colouring
from .discovery import discover, trial_columns
from .places import Place
from .runner import Runner, ranges
from .units import Unit, bundled, merged, units_of

if TYPE_CHECKING:
    from numpy.random import Generator

    from .quotients import Quotients

# Looking for a better way may take this share of the columns that it could save.
SHARE = 0.5
# Fewer entries than these are moved themselves: one run has all their columns, and to find out about units takes some.
FEWEST = 100
# Where units take no more columns than this for each input that they serve, or one for so many entries, no other way is
# looked for.
FEW, MANY_ENTRIES = 8, 16
# Products' results are moved entry by entry where they have few: up to this many entries, times what they usually have.
DIRECT = 1 << 15


@dataclass(frozen=True)
class Site:
    """What is moved for a product: its output, or a place that stands for it.

    Parameters
    ----------
    colouring : of the place, or of several as one.
    row : which of these it is, or which row of a place that holds them all; None where it is one by itself.
    """

    colouring: Colouring
    row: int | None = None

    def quotients(self, found: "Mapping[Place, Quotients]") -> "Quotients":
        """Return those of the product's output, of all that was found."""
        place = self.colouring.place
        return found[place] if self.row is None else found[place].part(self.row, place.size // len(place.value))


@dataclass(frozen=True)
class Way:
    """How one input is differenced.

    Parameters
    ----------
    place : the input.
    colourings : of its entries, where it is moved itself; where units serve it, of what its parts do beside them.
    units : the products that serve it; none where it is moved itself.
    sites : what is moved for each of them.
    """

    place: Place
    colourings: tuple[Colouring, ...]
    units: tuple[Unit, ...] = ()
    sites: tuple[Site, ...] = ()

    @classmethod
    def alone(cls, place: Place) -> "Way":
        """Return the way in which each entry is moved by itself."""
        return cls(place, (Colouring(place),))

    @property
    def name(self) -> str:
        """ "entries", "colours" or "units"."""
        return "units" if self.units else "entries" if self.colourings[0].single else "colours"

    def moved(self) -> list[Colouring]:
        """Return the colourings of all places that are moved."""
        return [*(site.colouring for site in self.sites), *self.colourings]


@dataclass
class _Served:
    """What units could do for one input.

    Parameters
    ----------
    units : its products.
    sites : what is moved for each of them.
    rests : the colourings of what parts of the input do beside them.
    columns : that those take.
    """

    units: list[Unit]
    sites: list[Site] = field(default_factory=list)
    rests: list[Colouring] = field(default_factory=list)
    columns: int = 0

    def way(self, place: Place) -> Way:
        """As the way of an input."""
        return Way(place, tuple(self.rests), tuple(self.units), tuple(self.sites))


def serves_directly(program: Any, entries: int) -> bool:
    """Tell whether products serve all inputs whose results have so few entries that each may be moved by itself.

    To find out which ones can be moved together takes more calls of the program, however small they are.

    ``entries`` : of the inputs.  A loop over samples has as many results as they are, and moves all samples together.
    """
    sizes = {product.site: int(np.size(product.value)) for product in program.products}
    few = _are_few(sizes.values()) and sum(sizes.values()) <= SHARE * entries
    return few and all(program.complete)


def _are_few(sizes: Collection[int]) -> bool:
    return 0 < sum(sizes) ** 2 <= DIRECT * len(sizes)


def choose(
    runner: Runner, inputs: Sequence[Place], wanted: Sequence[Indices], generator: "Generator"
) -> list[Way]:
    """Return the way for each input.

    Parameters
    ----------
    runner : runs the program.
    inputs : of the program.
    wanted : the entries of each input that are to be differenced.
    generator : draws the amounts of what is tried.
    """
    served = _served(runner, inputs, wanted, generator)
    sites = {site.colouring.place: site.colouring.count for one in served.values() for site in one.sites}
    taken = sum(sites.values()) + sum(one.columns for one in served.values())
    entries = sum(wanted[number].size for number in served)
    enough = taken <= max(FEW * len(served), entries // MANY_ENTRIES)
    several = runner.size > 1  # what moves one number cannot be told apart in it
    worth = [number for number, place in enumerate(inputs) if several
             and trial_columns([place.shape]) < SHARE * wanted[number].size and not (enough and number in served)]
    tried = discover([inputs[number] for number in worth], runner, generator) if worth else []
    own = {number: Colouring(place) for number, place in enumerate(inputs)} | dict(zip(worth, tried, strict=True))
    columns = {number: own[number].colours_of(wanted[number]).size for number in served}
    chosen = set(served) if enough else _cheapest(served, columns)
    return [
        served[number].way(place) if number in chosen else Way(place, (own[number],))
        for number, place in enumerate(inputs)
    ]


def _served(
    runner: Runner, inputs: Sequence[Place], wanted: Sequence[Indices], generator: "Generator"
) -> dict[int, _Served]:
    """Inputs that units could serve, with the colourings of all that has to be moved for it."""
    program = runner.program
    if sum(one.size for one in wanted) < FEWEST:
        return {}
    products: Sequence[Product] = getattr(program, "products", ())
    complete: Sequence[bool] = getattr(program, "complete", (False,) * len(inputs))
    observed = getattr(program, "observes", False) or getattr(program, "suppresses", False)
    unseen = _behind_terms(products, runner, generator)
    lost = {product.input for product in products if product.site in unseen}
    complete = [whole and number not in lost for number, whole in enumerate(complete)]
    serving: dict[int, list[Product]] = {}
    for product in products:
        if wanted[product.input].size and (complete[product.input] or observed) and product.site not in unseen:
            serving.setdefault(product.input, []).append(product)
    entries = sum(wanted[number].size for number in serving)
    units = units_of(list(chain.from_iterable(serving.values())))
    sites = _sites(units, SHARE * entries, runner, generator)
    if not sites:
        return {}
    found = {
        number: _Served([unit for unit in units if unit.product.input == number]) for number in serving
    }
    beside = [part for number, one in found.items() if not complete[number]
              for part in _parts_beside(inputs[number], one.units)]
    rests = discover(beside, runner, generator)
    for number, one in found.items():
        one.sites = [sites[unit.place] for unit in one.units]
        one.rests = [rest for rest in rests if rest.place.number == number]
        one.columns = sum(rest.colours_of(wanted[number]).size for rest in one.rests)
    return found


def _behind_terms(products: Sequence[Product], runner: Runner, generator: "Generator") -> set[int]:
    """Return operations of products that move no term: they come after one, as the sum of weights that are scaled does.

    What enters them is seen in the term.  Those of a loop that are alike are moved together, and all seen if one is.
    """
    terms = {term.site for term in runner.terms}
    late = [product for product in products if terms and product.site > min(terms) and product.site not in terms]
    bundles, alone = bundled(units_of(late))
    places = [*bundles, *alone]
    unseen: set[int] = set()
    for block in ranges(len(places), runner.most_columns([place.size for place in places])):
        some = places[block]
        moved = [(place, np.zeros((len(some), place.size))) for place in some]
        for row, (place, change) in enumerate(moved):
            change[row] = generator.uniform(0.5, 1.5, place.size) * place.step
        seen = np.zeros(len(some), dtype=bool)
        for _, change in runner.run(moved).moving():
            seen |= change.any(axis=1)
        for place, row in zip(some, seen.tolist(), strict=True):
            unseen.update(() if row else place.several or (place.number,))
    return unseen


def _sites(units: Sequence[Unit], most: float, runner: Runner, generator: "Generator") -> dict[Place, Site]:
    """Return what is moved for the place of each product; nothing where to find it out would take ``most`` columns.

    Many places that are alike are one where entries of different ones have one colour: where they do not meet.  They
    are rows of another place where that is added to all of them, as what enters a recurrence is.
    """
    bundles, alone = bundled(units)
    if not most > trial_columns({place.shape for place in (*bundles, *alone)}) + len(bundles) + len(alone):
        return {}
    stands_for = merged([*alone, *bundles], runner, generator)
    members = {unit.place.number: unit.place for unit in units}
    found: dict[Place, Site] = {}
    left = [place for place in alone if stands_for[place] is place]
    first = [bundle for bundle in bundles if stands_for[bundle] is bundle]
    for bundle, colouring in zip(first, _discovered(first, runner, generator), strict=True):
        places = [members[number] for number in bundle.several]
        colours = colouring.colour.reshape(len(places), -1)
        if colouring.alone or (colours != colours[0]).any():
            left += places
        else:
            found |= {place: Site(colouring, row) for row, place in enumerate(places)}
    if not most > trial_columns(place.shape for place in left):
        return {}
    found |= zip(left, map(Site, _discovered(left, runner, generator)), strict=True)
    found |= {place: found[stands_for[place]] for place in alone}
    for bundle in bundles:
        other = stands_for[bundle]
        for row, number in enumerate(bundle.several):
            alike = found[members[other.several[row]]] if other.several else Site(found[other].colouring, row)
            found[members[number]] = alike
    return found


def _discovered(places: Sequence[Place], runner: Runner, generator: "Generator") -> list[Colouring]:
    """Return colourings of products' results; few entries that move one number alone are moved by themselves."""
    if runner.size < 2 and _are_few([place.size for place in places]):
        return [Colouring(place) for place in places]
    return discover(places, runner, generator)


def _parts_beside(whole: Place, units: Sequence[Unit]) -> tuple[Place, ...]:
    """Return what is to be moved of an input beside the products that serve it, whose results stand still then.

    One vector of all parameters has two kinds of entries.  Weights enter products of their own, and most often do
    nothing else.  Biases enter none, or only those of all entries (the squares that are added up for weight decay):
    the products of the weights do not stand still where they move, since they move what these multiply.
    """
    enters: dict[int, Mask] = {}
    for unit in units:
        owners = np.asarray(unit.product.owners).reshape(-1)
        mask = enters.setdefault(unit.product.site, np.zeros(whole.size, dtype=bool))
        mask[owners[owners >= 0]] = True
    own = np.zeros(whole.size, dtype=bool)
    for mask in enters.values():
        own |= mask & (not mask.all())
    of_all = frozenset(site for site, mask in enters.items() if mask.all())
    if own.all() or not own.any():
        return (Place(whole.number, whole.value, without=frozenset(enters)),)
    weights = Place(whole.number, whole.value, without=frozenset(enters), only=own)
    return weights, Place(whole.number, whole.value, without=of_all, only=~own)


def _cheapest(served: dict[int, _Served], columns: dict[int, int]) -> set[int]:
    """Inputs that units serve in fewer columns than moving them takes, given that others pay for shared sites.

    Inputs are taken in or left out one after the other until nothing saves any more, once from none and once from all:
    some save together but not alone.
    """
    def cost(chosen: set[int]) -> int:
        moved = {site.colouring for number in chosen for site in served[number].sites}
        rests = sum(served[number].columns for number in chosen)
        own = sum(columns[number] for number in served if number not in chosen)
        return sum(colouring.count for colouring in moved) + rests + own

    best: set[int] = set()
    for start in (set(), set(served)):
        chosen = set(start)
        while served:
            better = min((chosen ^ {number} for number in served), key=cost)
            if cost(better) >= cost(chosen):
                break
            chosen = better
        best = min(best, chosen, key=cost)
    return best
