"""Parts that make up a gradient, and how often each of them is in the gradient that was handed in.

If the numerical gradient is made of parts c_j, and the gradient handed in is off by the sum of (s_j - 1) c_j, then it
holds part j s_j times: 0 is a part that is missing, -1 one of the wrong sign.  With more equations than unknowns, such
a fit is a proof: numbers that have nothing to do with the parts do not meet it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...._types import Array, Indices

# The fit leaves this share of the error, and of the gradient, at most.
LEFT = 1e-7
# Equations beyond the unknowns that make a fit a proof.
BEYOND = 3
# Those that the wrong parts alone enter, beyond their number: three wrong numbers that fill two samples prove nothing.
BEYOND_WRONG = 2
# Parts whose directions are told apart no better than this are not told apart by noisy numbers.
APART = 1e-6
# Exact ones are, as long as what the fit leaves, or rounding, moves no share by more than this.
UNSURE, ROUNDING = 1e-3, 1e-14
# Up to this many shares, or runs of the same share, are told one by one.
ONE_BY_ONE = 6
# A share this near to a whole number is that number.
WHOLE = 1e-6


@dataclass(frozen=True)
class Place:
    """Where a part goes through.

    Parameters
    ----------
    words : the expression, or the slice of an output.
    visit, visits : which of how many times that the expression is evaluated; 1 of 1 for a single time.
    entries : how many numbers the part adds up, where it is a sum; else 0.
    conjugate : whether a wrong sign here is a complex conjugate that is missing or too many.
    index : whether the visits are the indices of an axis.
    """

    words: str
    visit: int = 1
    visits: int = 1
    entries: int = 0
    conjugate: bool = False
    index: bool = False

    def __str__(self) -> str:
        if self.index:
            return f"index {self.visit - 1} of {self.words}"
        return self.words if self.visits == 1 else f"{self.words}, the {ordinal(self.visit)} of {self.visits} times"


def shares(error: Array, parts: Array, size: float) -> Array | None:
    """How often each part is in a gradient; None where they do not explain it, or are not told apart.

    Parameters
    ----------
    error : (m,) the gradient handed in less the numerical one, along m directions.
    parts : (r, m).
    size : of the gradient along them.
    """
    if parts.shape[1] < len(parts) + BEYOND or not parts.any(axis=1).all() or not np.isfinite(parts).all():
        return None
    lengths = np.linalg.norm(parts, axis=1)
    unit = parts / lengths[:, None]
    found, _, _, singular = np.linalg.lstsq(unit.T, error, rcond=0.0)
    left, off = float(np.linalg.norm(error - found @ unit)), float(np.linalg.norm(error))
    if not singular[-1] > 0.0 or left > LEFT * off or off < LEFT * size:
        return None
    if max(left, ROUNDING * off) / singular[-1] > UNSURE * float((lengths * (1.0 + np.abs(found / lengths))).min()):
        return None
    held = snapped(1.0 + found / lengths)
    wrong = held != 1.0
    return held if np.count_nonzero(parts[wrong].any(axis=0)) >= np.count_nonzero(wrong) + BEYOND_WRONG else None


def plain(found: Array) -> bool:
    """Whether shares are those that people make by mistake: none, once, twice, half, or the wrong sign."""
    return bool(np.isin(found, (0.0, 1.0, -1.0, 2.0, 0.5)).all())


def snapped(values: Array) -> Array:
    """Shares with those that are whole or half numbers to rounding made so."""
    whole = 0.5 * np.round(2.0 * values)
    return np.where(np.abs(values - whole) <= WHOLE * np.maximum(1.0, np.abs(whole)), whole, values) + 0.0  # no -0


def in_words(name: str, found: Array, places: Sequence[Place]) -> str:
    """What shares say of a gradient, as a sentence without its end; "" where all are whole.

    Parameters
    ----------
    name : of the gradient.
    found : (r,) shares.
    places : of the parts.
    """
    off: list[int] = np.flatnonzero(found != 1.0).tolist()
    if not off:
        return ""
    visits = len(places) > 1 and all(p.words == places[0].words for p in places) and len(places) == places[0].visits
    if not found[off].any():
        return _missing(name, found, places, visits)
    if np.all(found[off] == -1.0):
        meaning = ": a complex conjugate is missing, or one too many" if all(places[k].conjugate for k in off) else ""
        return f"{name} holds what comes through {_listed(places, np.array(off), visits)} with the wrong sign{meaning}"
    if len(off) == 1:
        return f"{name} holds what comes through {places[off[0]]} {found[off[0]]:.4g} times"
    if visits:
        what = "indices" if places[0].index else "evaluations"
        if np.all(found == found[0]):
            return f"{name} holds what the {len(places)} {what} of {places[0].words} give {found[0]:.4g} times"
        return (f"{name} holds what the {len(places)} {what} of {places[0].words} give {_counted(found)} instead of "
                f"once each{weighed(found, places)}")
    each = ", ".join(f"that through {places[k]} {found[k]:.4g} times" for k in off)
    return f"the parts of {name} are not in it once each: {each}"


def _counted(found: Array) -> str:
    """How often each of several visits is there: one by one where they are few, else in runs of the same number."""
    if found.size <= ONE_BY_ONE:
        return f"{', '.join(f'{share:.4g}' for share in found)} times"
    starts: list[int] = [0, *(np.flatnonzero(np.diff(found)) + 1).tolist()]
    if len(starts) > ONE_BY_ONE:
        return f"{found.min():.4g} to {found.max():.4g} times"
    stops = [*starts[1:], found.size]
    return _and(f"{found[a]:.4g} times {f'at {a}' if b - a == 1 else f'from {a} to {b - 1}'}"
                for a, b in zip(starts, stops, strict=True)) + " (counted from 0)"


def weighed(found: Array, places: Sequence[Place]) -> str:
    """What unequal shares mean where the parts are sums of unequal numbers of entries."""
    entries = np.array([place.entries for place in places], float)
    if len(set(entries.tolist())) < 2 or not entries.all():
        return ""
    products = found * entries
    if np.ptp(products) > WHOLE * np.abs(products).max():
        return ""
    sizes = ", ".join(str(place.entries) for place in places)
    return (f": each is divided by its own number of entries ({sizes}), a mean of means of unequal parts where all "
            "entries should weigh the same")


def _missing(name: str, found: Array, places: Sequence[Place], visits: bool) -> str:
    """What only zeros among the shares say."""
    kept, count = np.flatnonzero(found), len(places)
    if visits and kept.size == 1 and (count > 2 or kept[0] == count - 1):
        which = {0: "first", count - 1: "last"}.get(int(kept[0]), ordinal(int(kept[0]) + 1))
        what = "indices" if places[0].index else "evaluations"
        return (f"{name} holds only the {which} of the {count} {what} of {places[0].words}: what several samples, "
                "steps or workers give is not added up, but overwritten or left out")
    lacking = _listed(places, np.flatnonzero(found == 0.0), visits)
    if visits:
        end = " (the last)" if found[-1] == 0.0 and np.count_nonzero(found == 0.0) == 1 else ""
        part = "that part of the sum (a sample, step or batch)"
        return f"{name} lacks what comes from {lacking}{end}: {part} is left out"
    return f"{name} lacks what comes through {lacking}, as if that were held fixed (detached): this term is missing"


def _listed(places: Sequence[Place], chosen: Indices, visits: bool) -> str:
    """Some parts, by what they have in common."""
    count, words = len(places), places[0].words
    if not visits:
        return _and(str(places[k]) for k in chosen)
    if chosen.size > 1:
        for some, which in ((np.arange(count), "all"), (np.arange(count - 1), "all but the last of"),
                            (np.arange(1, count), "all but the first of")):
            if np.array_equal(chosen, some):
                return f"{words}, {which} {count} {'indices' if places[0].index else 'times'}"
    if places[0].index:
        return f"ind{'ex' if chosen.size == 1 else 'ices'} {_and(str(int(k)) for k in chosen)} of {words}"
    return f"{words}, the {_and(ordinal(int(k) + 1) for k in chosen)} of {count} times"


def _and(words: Iterable[str]) -> str:
    """0; 0 and 1; 0, 1 and 5."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
