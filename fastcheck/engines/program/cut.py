"""Where a scalar cost is a weighted sum: the last operations before it from which everything else is linear.

A mean over samples, and a penalty added to it, hide what columns could share: the losses of single samples know nothing
of one another, the cost knows all of them.  So the results of the last operations before the sums, the *terms*, are
taken for the program's outputs, and the cost is the sum of their products with constant weights.

Nothing is read from the code.  Changes are injected at the results of operations, of any size, and what they do to the
cost tells: from an operation on the cost is linear where twice a change, the other way round, does twice as much, the
other way round; its weights come from changes of single entries, or from the hypothesis that all are equal, which a
random change proves.  That the terms are all there is, and do not act on one another, is proven by moving the inputs
far: without the terms' changes the cost must stand still, and with them it must move by their weighted sum.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..._types import Array
from .runner import ObservedProgram, Term

if TYPE_CHECKING:
    from numpy.random import Generator

# Operations that are tried at a time, from the last backwards, and numbers of their changes; where none of them is
# linear, none before is tried.
CHUNK, CHUNK_SIZE = 24, 1 << 20
# Entries of a result whose weights are looked for one by one.
MOST_SINGLE = 2048
# ... all at once, before it is known whether they are equal.
MOST_AT_ONCE = 128
# Numbers of a block of changes of single entries.
BLOCK = 1 << 22
# Relative difference, of the sum of |terms|, that is rounding.
ROUNDING = 1e-11
# Sets of terms that are tried.
TRIES = 12
# The inputs are moved by this share of their size.
FAR = 0.1


def terms_of(program: ObservedProgram, inputs: Sequence[Array], generator: "Generator") -> tuple[Term, ...]:
    """Return the terms of a program with one number for output; none where they cannot be told, or would not help.

    Parameters
    ----------
    program : the program.
    inputs : its inputs.
    generator : draws changes.
    """
    if len(program.outputs) != 1 or program.outputs[0].size != 1 or not np.isfinite(program.outputs[0]).all():
        return ()
    far = {
        number: FAR * np.stack([generator.normal(size=value.shape) * (np.abs(value) + _usual(value)) for _ in range(2)])
        for number, value in enumerate(inputs)
        if value.size
    }
    with np.errstate(all="ignore"):
        response = program.run(far, observe=None)
        if response.changes[0] is None or not np.isfinite(response.changes[0]).all():
            return ()
        cut = _Cut(program, response.observed, generator)
        return cut.terms(far, response.changes[0])


def _usual(value: Array) -> float:
    return float(np.sqrt(np.mean(value**2))) or 1.0


class _Cut:
    """The results that move, and which of them the cost is linear in."""

    def __init__(self, program: ObservedProgram, moved: Mapping[int, Array], generator: "Generator") -> None:
        self.program, self.moved, self.generator = program, moved, generator
        self.above: dict[int, set[int]] = {}
        self.weights: dict[int, Array | None] = {}

    def terms(self, far: dict[int, Array], effect: Array) -> tuple[Term, ...]:
        """Terms that are proven to be all; none where only the cost's last number itself is."""
        linear = self._linear()
        waiting: list[frozenset[int]] = [frozenset()]
        for _ in range(TRIES):
            if not waiting:
                break
            without = waiting.pop(0)
            found = self.frontier([site for site in linear if site not in without])
            if all(term.weight.size == 1 for term in found):
                continue
            if self.proven(found, far, effect):
                return found
            # Something else flows in behind one of them: that one is not a cut, but what comes after it may be.
            waiting += [without | {term.site} for term in found if term.weight.size > 1]
        return ()

    def frontier(self, linear: Sequence[int]) -> tuple[Term, ...]:
        """The first results on each way to the cost, among those that it is linear in, whose weights can be told."""
        weighed: dict[int, Array] = {}
        for site in sorted(linear):
            if not any(site in self.above[earlier] for earlier in weighed):
                weight = self._weight(site)
                if weight is not None:
                    weighed[site] = weight
        return tuple(Term(site, weight) for site, weight in weighed.items())

    def _linear(self) -> list[int]:
        """Return numbers of operations whose results' changes, of any size, the cost's is proportional to.

        Complex results are none of them: a cost that is real weighs their two parts each by itself.
        """
        found: list[int] = []
        sites = sorted((site for site, moved in self.moved.items() if not np.iscomplexobj(moved)), reverse=True)
        while sites:
            chunk = sites[:1]
            while len(chunk) < min(CHUNK, len(sites)) and self._size_of(sites[: len(chunk) + 1]) <= CHUNK_SIZE:
                chunk = sites[: len(chunk) + 1]
            linear = self._linear_of(chunk, found)
            if not linear:
                break
            found, sites = found + linear, sites[len(chunk) :]
        return found

    def _size_of(self, chunk: Sequence[int]) -> int:
        return 2 * len(chunk) * sum(int(self.moved[site][0].size) for site in chunk)

    def _linear_of(self, chunk: Sequence[int], later: Sequence[int]) -> list[int]:
        """Return those of a chunk that the cost is linear in, and feels at all; it notes what else they move."""
        injected = {}
        for row, site in enumerate(chunk):
            change = self._random(site)
            injected[site] = np.zeros((2 * len(chunk), *change.shape))
            injected[site][row], injected[site][len(chunk) + row] = change, -2.0 * change
        response = self.program.run({}, injected, observe=[*chunk, *later])
        if response.changes[0] is None:
            return []
        once, twice = response.changes[0].reshape(2, len(chunk))
        with np.errstate(invalid="ignore"):
            linear = (once != 0.0) & (np.abs(twice + 2.0 * once) <= ROUNDING * np.abs(twice))
        for row in np.flatnonzero(linear).tolist():
            self.above[chunk[row]] = {
                site for site, change in response.observed.items() if site > chunk[row] and np.any(change[row])
            }
        return [site for site, found in zip(chunk, linear, strict=True) if found]

    def _random(self, site: int) -> Array:
        """Return a change of a result as large as the one that it made when the inputs moved far."""
        size = float(np.sqrt(np.mean(self.moved[site] ** 2))) or 1.0
        return size * self.generator.normal(size=self.moved[site].shape[1:])

    def _weight(self, site: int) -> Array | None:
        """Return what a result weighs in the cost; None where it cannot be told."""
        if site not in self.weights:
            self.weights[site] = self._find_weight(site)
        return self.weights[site]

    def _find_weight(self, site: int) -> Array | None:
        shape = self.moved[site].shape[1:]
        size = int(np.prod(shape, dtype=np.int64))
        change = np.stack([self._random(site) for _ in range(2)])
        ones = np.eye(size).reshape(size, *shape) if size <= MOST_AT_ONCE else np.zeros((0, *shape))
        effect = self._effect(site, np.concatenate([change, ones]))
        effect, single = effect[:2], effect[2:]
        even = float(effect[0] / np.sum(change[0])) if np.sum(change[0]) else 0.0
        if self._explains(np.full(shape, even), change, effect):
            return np.full(shape, even)
        if size > MOST_SINGLE:
            return None
        if not single.size:
            rows = max(1, BLOCK // size)
            blocks = (np.eye(size)[first : first + rows] for first in range(0, size, rows))
            single = np.concatenate([self._effect(site, block.reshape(-1, *shape)) for block in blocks])
        weight = single.reshape(shape)
        return weight if self._explains(weight, change, effect) else None

    def _effect(self, site: int, change: Array) -> Array:
        found = self.program.run({}, {site: change}).changes[0]
        return np.zeros(len(change)) if found is None else found.reshape(-1)

    def _explains(self, weight: Array, change: Array, effect: Array) -> bool:
        parts = (weight * change).reshape(len(change), -1)
        return bool((np.abs(parts.sum(axis=1) - effect) <= ROUNDING * np.abs(parts).sum(axis=1)).all())

    def proven(self, terms: Sequence[Term], far: dict[int, Array], effect: Array) -> bool:
        """Tell whether the cost moves by the terms' weighted changes, and not at all where they stand still."""
        if not terms:
            return False
        still = self.program.run(far, suppress=[term.site for term in terms]).changes[0]
        if still is not None and np.any(still):
            return False
        parts = [(self.moved[term.site] * term.weight).reshape(len(effect), -1) for term in terms]
        total = sum(part.sum(axis=1) for part in parts)
        size = sum(np.abs(part).sum(axis=1) for part in parts)
        return bool((np.abs(total - effect.reshape(-1)) <= ROUNDING * size).all())
