"""Gradients of a cost that adds up numbers in Python, such as the losses of batches, and how each batch weighs in them.

Where a cost calls float() on the way, no change can be followed to its end.  The numbers that it makes on the way are
followed still: if the numerical gradient is the sum of t_j times their gradients, and the gradient handed in the sum of
w_j times them, then part j is in it w_j / t_j times.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...._types import Array
from .contributions import Contributions, Moved
from .places import places_of
from .shares import APART, BEYOND, LEFT, in_words, snapped
from .sources import Source

# The numerical gradient of such a cost is an ordinary difference, and noisy.
NOISY = 1e-4
# Norms that differ by less than this share are equal.
EQUAL = 1e-6


def of_numbers(
    run: Contributions, moved: Mapping[str, Moved], error: Mapping[str, Array], whole: Mapping[str, Array]
) -> dict[str, str]:
    """Sentences without their ends, by tensor, of gradients that hold the parts of a sum too often or too rarely.

    Parameters
    ----------
    run, moved : the program, and what moves with each tensor.
    error, whole : along each tensor's directions, the error of the gradient handed in, and the numerical gradient.
    """
    names = list(moved)
    given = np.concatenate([whole[name] + error[name] for name in names])
    numerical = np.concatenate([whole[name] for name in names])
    everywhere = places_of(moved.values())
    for sites in _sums(moved[names[0]]):
        parts = np.concatenate([_along(moved[name], sites) for name in names], axis=1)
        weights, due = _weights(parts, given, LEFT), _weights(parts, numerical, NOISY)
        if weights is None or due is None or np.ptp(due) > NOISY * np.abs(due).max():
            continue
        shares = snapped(weights / due.mean()) if due.mean() else due
        shares = _near(shares)
        clip = _clipped(run, moved, sites, shares, float(due.mean()))
        places = [everywhere[site] for site in sites]
        said = {name: in_words(f"d{name}", shares, places) for name in names}
        if clip:
            said = {name: clip.replace("{name}", name).replace("{words}", places[0].words) for name in names}
        return {name: words for name, words in said.items() if words}
    return {}


def _near(shares: Array) -> Array:
    """Shares with those that are 0, 1 or -1 to the noise of the numerical gradient made so."""
    whole = np.round(shares)
    return np.where((np.abs(shares - whole) <= NOISY) & (np.abs(whole) <= 1), whole, shares)


def _sums(moved: Moved) -> Iterator[list[int]]:
    """The results that are single numbers, of each expression that makes several of them."""
    groups: dict[Source, list[int]] = defaultdict(list)
    for site, value in moved.record.values.items():
        if value.size == 1 and value.dtype.kind == "f":
            groups[moved.record.sources[site]].append(site)
    yield from (sites for sites in groups.values() if len(sites) > 1)


def _along(moved: Moved, sites: Sequence[int]) -> Array:
    nothing = np.zeros(len(moved.directions))
    return np.stack([np.real(moved.record.changes.get(site, nothing)).reshape(-1) / moved.step for site in sites])


def _weights(parts: Array, total: Array, left: float) -> Array | None:
    """The weights with which parts make up a total; None where they do not, or are not told apart."""
    if parts.shape[1] < len(parts) + BEYOND or not parts.any(axis=1).all() or not np.isfinite(parts).all():
        return None
    lengths = np.linalg.norm(parts, axis=1)
    found, _, _, singular = np.linalg.lstsq((parts / lengths[:, None]).T, total, rcond=None)
    if singular[-1] < APART * singular[0]:
        return None
    off = np.linalg.norm(total - (found / lengths) @ parts)
    return found / lengths if off <= left * np.linalg.norm(total) else None


def _clipped(
    run: Contributions, moved: Mapping[str, Moved], sites: Sequence[int], shares: Array, due: float
) -> str:
    """Whether each part, or what has been added up after each, was scaled to one norm; "" where it was not.

    Where what has been added up is scaled by c_j after part j, part i is in the result c_i c_(i+1) ... times.
    """
    if not np.all(shares > 0.0) or np.ptp(shares) <= EQUAL * shares.max():
        return ""
    gradients = np.concatenate([run.gradients(one.number, sites) for one in moved.values()], axis=1)
    scaled = due * shares[:, None] * gradients
    norms = np.linalg.norm(scaled, axis=1)
    if np.ptp(norms) <= EQUAL * norms.max():
        return (f"d{{name}} holds what each of the {len(sites)} evaluations of {{words}} gives scaled to one norm, "
                f"{norms[0]:.4g}: each was clipped by itself, before they were added up")
    later = np.append(shares[1:], 1.0)
    running = np.linalg.norm(np.cumsum(scaled, axis=0), axis=1) / later
    held = shares < (1.0 - EQUAL) * later
    bound = float(running[held].max(initial=0.0))
    if np.count_nonzero(held) < 2 or np.ptp(running[held]) > EQUAL * bound or np.any(running > bound * (1.0 + EQUAL)):
        return ""
    return (f"d{{name}} is what comes out if the sum is scaled to the norm {bound:.4g} each time that an evaluation of "
            "{words} has been added: it was clipped after each part instead of once at the end")
