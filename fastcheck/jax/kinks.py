"""Mixtures of conventions: each primitive may resolve its ties in its own way, and JAX's do."""

from collections.abc import Iterator
from itertools import islice

from ..engines.program.kinks import held_in_turn
from ..rules.branches import Convention, Kind, Mixture
from .program.program import JaxProgram

# Conventions that are tried, beside JAX's own: each is compiled anew.
MOST_TRIED = 60


def mixtures(met: frozenset[tuple[str, Kind]]) -> Iterator[Convention | Mixture]:
    """Yield what may be held at ties: what JAX holds, one convention for all of a kind, then other mixtures.

    Parameters
    ----------
    met : groups of primitives, and kinds of the kinks on which values stood.
    """
    yield from JaxProgram.holds
    yield from islice(held_in_turn(met), MOST_TRIED)
