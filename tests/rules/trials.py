"""Trials of elementwise rules: operands, changes, and the true change of the output in mpmath."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import mpmath as mp
import numpy as np

from fastcheck.rules.table import RULES, Rule
from tests.rules.references import BOOLEAN, REFERENCES

SIZES = (1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1.0, 20.0)
STEPS = tuple(sign * size for size in SIZES for sign in (1.0, -1.0))
PIECES = 8
UNDERFLOW = 1e-300
PRECISION = 1e-13


def all_numbers(values: list[Any]) -> bool:
    return all(not isinstance(x, mp.mpc) and abs(x) < 1e308 for x in values)


@dataclass(frozen=True)
class Trial:
    """One point: operands, their changes (None: still) and the true change."""

    name: str
    values: tuple[float, ...]
    changes: tuple[float | None, ...]
    true: Any

    @cached_property
    def scale(self) -> Any:
        """What errors are relative to: the variation of the output while the operands move, together and one by one."""
        reference = REFERENCES[self.name]
        with mp.workdps(reference.digits):
            start = [mp.mpf(v) for v in self.values]
            way = [mp.mpf(d or 0.0) for d in self.changes]
            total = variation(reference.function, start, way)
            for k, w in enumerate(way):
                alone = [w if i == k else mp.mpf(0) for i in range(len(way))]
                before = [a + b - c for a, b, c in zip(start, way, alone, strict=True)]
                total += variation(reference.function, start, alone) + variation(reference.function, before, alone)
            return total + (reference.scale(start, way) if reference.scale is not None else 0)

    def agrees(self, found: float) -> bool:
        """Whether a change is right; the scale is taken only where the change itself is too small to tell."""
        error = abs(found - self.true)
        if error <= max(PRECISION * abs(self.true), UNDERFLOW):
            return True
        return not rule_of(self.name).discrete and bool(error <= PRECISION * self.scale)


def rule_of(label: str) -> Rule:
    """The rule that a reference belongs to: several try one with other options."""
    return RULES[label.partition(":")[0]]


def change_of(xp: Any, label: str, values: Any, changes: Any, *arguments: Any) -> Any:
    """What the rule gives, with the reference's options, and its operands that stand still."""
    reference = REFERENCES[label]
    values, changes = (*reference.fixed, *values), (*[None] * len(reference.fixed), *changes)
    return rule_of(label).change(xp, values, changes, *arguments, **reference.options)


def variation(function: Any, start: list[Any], way: list[Any]) -> Any:
    """The sum of the magnitudes of the changes piece by piece."""
    stops = [function(*(a + w * k / PIECES for a, w in zip(start, way, strict=True))) for k in range(PIECES + 1)]
    return mp.fsum(abs(b - a) for a, b in pairwise(stops)) if all_numbers(stops) else mp.mpf(0)


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


def trial(name: str, values: tuple[float, ...], changes: tuple[float | None, ...]) -> Trial | None:
    """The truth; None outside the operation's domain."""
    reference = REFERENCES[name]
    with mp.workdps(reference.digits):
        start = [mp.mpf(v) for v in values]
        ends = [reference.function(*start)]
        ends.append(reference.function(*(a + mp.mpf(d or 0.0) for a, d in zip(start, changes, strict=True))))
        return Trial(name, values, changes, ends[1] - ends[0]) if all_numbers(ends) else None


@cache
def trials(name: str) -> tuple[Trial, ...]:
    """All trials of a rule."""
    found = (trial(name, values, changes) for values in REFERENCES[name].points for changes in moves(name, values))
    return tuple(t for t in found if t is not None)


@cache
def value(name: str, point: tuple[float, ...]) -> float:
    """The operation's value, correctly rounded."""
    with mp.workdps(REFERENCES[name].digits):
        return float(REFERENCES[name].function(*map(mp.mpf, point)))


def arrays(xp: Any, name: str, batch: tuple[Trial, ...]) -> tuple[Any, Any, Any]:
    """Values, changes and outputs of trials with the same operands moving, each a vector."""
    values = [xp.asarray(np.array(column)) for column in zip(*(t.values for t in batch), strict=True)]
    columns = zip(*(t.changes for t in batch), strict=True)
    changes = [None if None in column else xp.asarray(np.array(column)) for column in columns]
    out = xp.asarray(np.array([value(name, t.values) for t in batch]))
    if name in BOOLEAN:
        values = [v != 0.0 for v in values]
    if name == "where":
        values[0] = values[0] != 0.0
    return tuple(values), tuple(changes), out


def found(xp: Any, name: str, batch: tuple[Trial, ...], branches: Any = None) -> np.ndarray:
    """What the rule gives for trials with the same operands moving."""
    values, changes, out = arrays(xp, name, batch)
    with np.errstate(all="ignore"):
        change = change_of(xp, name, values, changes, out, branches)
    return np.broadcast_to(np.asarray(change, dtype=float), (len(batch),))


def groups(name: str) -> Iterator[tuple[Trial, ...]]:
    """The trials by which operands move and by the size of the step: tiny ones take shorter ways."""
    sorted_out: dict[Any, list[Trial]] = {}
    for t in trials(name):
        key = tuple(None if d is None else abs(d) for d in t.changes)
        sorted_out.setdefault(key, []).append(t)
    return (tuple(group) for group in sorted_out.values())


def all_moving(name: str) -> tuple[Trial, ...]:
    """The trials in which every operand moves, of all sizes together."""
    return tuple(t for t in trials(name) if None not in t.changes)


def random_trials(name: str, count: int, seed: int = 0) -> tuple[Trial, ...]:
    """Trials near the reference's points: changes of all sizes, to zero, and to the other side of it."""
    rng = random.Random(f"{name} {seed}")

    def near(x: float) -> float:
        by = rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-14.0, 0.0)
        return x * (1.0 + by) if rng.random() < 0.5 else x + by

    def step(x: float) -> float:
        if rng.random() < 0.25:
            return rng.choice((-x, -2.0 * x))
        return rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-14.0, 1.3)

    found = []
    for _ in range(count):
        values = tuple(map(near, rng.choice(REFERENCES[name].points)))
        alone = rng.randrange(len(values)) if rng.random() < 0.5 else None
        changes = tuple(step(x) if alone in (None, k) else 0.0 for k, x in enumerate(values))
        found.append(trial(name, values, changes))
    return tuple(t for t in found if t is not None)
