"""Mixtures of conventions: each primitive may resolve its ties in its own way, and JAX's do."""

from collections.abc import Iterator
from itertools import islice, product

from ..engines.program.kinks import HELD, conventions
from ..rules.branches import Convention, Kind
from .program.flags import GROUPS, HELD_BY_JAX, Mixture

# Mixtures that are tried, beside one convention for all primitives alike: each is compiled anew.
MOST_MIXTURES = 40


def mixtures(met: frozenset[tuple[str, Kind]]) -> Iterator[Convention | Mixture]:
    """Yield what may be held at ties: what JAX holds, one convention for all of a kind, then other mixtures.

    Parameters
    ----------
    met : groups of primitives, and kinds of the kinks on which values stood.
    """
    ours = Mixture(tuple(HELD_BY_JAX.values()))
    yield ours
    yield from conventions({kind for _, kind in met})
    groups = {kind: [group for group, one in met if one == kind] for _, kind in met}
    if max(map(len, groups.values()), default=0) < 2:
        return
    places = sorted((GROUPS.index(group), kind) for group, kind in met)
    for chosen in islice(product(*(HELD[kind] for _, kind in places)), MOST_MIXTURES):
        held = list(ours.conventions)
        for (place, kind), value in zip(places, chosen, strict=True):
            held[place] = held[place]._replace(**{kind: value})
        yield Mixture(tuple(held))
