"""Trials of elementwise rules: operands, changes, and the true change of the output in mpmath."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np

from fastcheck.rules.table import RULES

from .references import BOOLEAN, REFERENCES

SIZES = (1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1.0, 20.0)
STEPS = tuple(sign * size for size in SIZES for sign in (1.0, -1.0))
PIECES = 8
UNDERFLOW = 1e-300


@dataclass(frozen=True)
class Trial:
    """One point: operands, their changes (None: still), the true change, and what its error is relative to."""

    values: tuple[float, ...]
    changes: tuple[float | None, ...]
    true: Any
    scale: Any


def moves(name: str, values: tuple[float, ...]) -> Iterator[tuple[float | None, ...]]:
    """Changes of one operand after the other, and of all at once."""
    for k, value in enumerate(values):
        if name in BOOLEAN or (name == "where" and k == 0):
            yield tuple((1.0 - 2.0 * value) if i == k else None for i in range(len(values)))
            continue
        for step in STEPS:
            yield tuple(step if i == k else None for i in range(len(values)))
    if len(values) == 1:
        return
    for i in range(len(STEPS)):
        if name in BOOLEAN:
            yield tuple(1.0 - 2.0 * v for v in values)
        else:
            all_move = tuple(STEPS[(i + 3 * k) % len(STEPS)] for k in range(len(values)))
            yield (1.0 - 2.0 * values[0], *all_move[1:]) if name == "where" else all_move


def along(function: Any, start: list[Any], way: list[Any]) -> tuple[Any, Any]:
    """The change of ``function`` on the way, and its variation (the sum of the magnitudes of its pieces)."""
    stops = [function(*(a + w * k / PIECES for a, w in zip(start, way, strict=True))) for k in range(PIECES + 1)]
    if not all(abs(x) < 1e308 and not isinstance(x, mp.mpc) for x in stops):
        return None, None
    return stops[-1] - stops[0], mp.fsum(abs(b - a) for a, b in itertools.pairwise(stops))


def trial(name: str, values: tuple[float, ...], changes: tuple[float | None, ...]) -> Trial | None:
    """The truth; None outside the operation's domain."""
    reference = REFERENCES[name]
    with mp.workdps(reference.digits):
        start = [mp.mpf(v) for v in values]
        way = [mp.mpf(d or 0.0) for d in changes]
        true, scale = along(reference.function, start, way)
        if true is None:
            return None
        for k, w in enumerate(way):  # each operand alone, before and after the others have moved
            alone = [w if i == k else mp.mpf(0) for i in range(len(way))]
            for base in (start, [a + b - c for a, b, c in zip(start, way, alone, strict=True)]):
                size = along(reference.function, base, alone)[1]
                scale += size if size is not None else 0
        if reference.scale is not None:
            scale += reference.scale(start, way)
        return Trial(values, changes, true, scale)


@cache
def trials(name: str) -> tuple[Trial, ...]:
    """All trials of a rule."""
    found = (trial(name, values, changes) for values in REFERENCES[name].points for changes in moves(name, values))
    return tuple(t for t in found if t is not None)


def evaluate(name: str, xp: Any, values: tuple[Any, ...]) -> Any:
    """The operation's value, by mpmath, in the namespace's arrays."""
    reference = REFERENCES[name]
    arrays = np.broadcast_arrays(*(np.asarray(v) for v in values))
    with mp.workdps(reference.digits):
        points = zip(*(a.ravel().tolist() for a in arrays), strict=True)
        flat = [reference.function(*map(mp.mpf, point)) for point in points]
    return xp.asarray(np.array([float(x) for x in flat]).reshape(arrays[0].shape))


def found(xp: Any, name: str, batch: tuple[Trial, ...]) -> np.ndarray:
    """What the rule gives for trials with the same operands moving, as one array."""
    columns = zip(*(t.values for t in batch), strict=True)
    values = tuple(xp.asarray(np.array(column)) for column in columns)
    moving = zip(*(t.changes for t in batch), strict=True)
    changes = tuple(None if None in column else xp.asarray(np.array(column)) for column in moving)
    if name in BOOLEAN:
        values = tuple(v != 0.0 for v in values)
    out = evaluate(name, xp, tuple(np.array(c) for c in zip(*(t.values for t in batch), strict=True)))
    with np.errstate(all="ignore"):
        change = RULES[name].change(xp, values, changes, out, None)
    return np.broadcast_to(np.asarray(change, dtype=float), (len(batch),))


def groups(name: str) -> Iterator[tuple[Trial, ...]]:
    """The trials by which operands move and by the size of the step: tiny ones take shorter ways."""
    sorted_out: dict[Any, list[Trial]] = {}
    for t in trials(name):
        key = tuple(None if d is None else abs(d) for d in t.changes)
        sorted_out.setdefault(key, []).append(t)
    return (tuple(group) for group in sorted_out.values())
