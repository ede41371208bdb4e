"""Operations as places that parts of a gradient go through."""

from collections import defaultdict
from collections.abc import Iterable

from ...._types import Array
from .contributions import Moved
from .shares import Place
from .sources import Source


def places_of(moved: Iterable[Moved]) -> dict[int, Place]:
    """The places of all operations that move with some tensors, with their visits, by number."""
    sources: dict[int, Source] = {}
    values: dict[int, Array] = {}
    for one in moved:
        sources |= one.record.sources
        values |= one.record.values
    visits: dict[Source, list[int]] = defaultdict(list)
    for site in sorted(sources):
        visits[sources[site]].append(site)
    return {
        site: Place(str(source), k, len(sites), _entries(values, site), _is_conjugate(source))
        for source, sites in visits.items() for k, site in enumerate(sites, 1)
    }


def _entries(values: dict[int, Array], site: int) -> int:
    """How many numbers a sum adds up: those of the result before it, where it is one number."""
    before = values.get(site - 1)
    return int(before.size) if before is not None and values[site].size == 1 else 0


def _is_conjugate(source: Source) -> bool:
    """Whether a wrong sign of what comes through here is a conjugate: it is an imaginary part."""
    text = source.text
    return text.endswith(".imag") or text.startswith(("np.imag(", "numpy.imag("))
