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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from ..._errors import NoRule
from ..._types import Array, Indices
from .protocols import ObservedProgram
from .runner import Term, ranges

if TYPE_CHECKING:
    from numpy.random import Generator

# Operations that are tried at first, from the last backwards: twice as many each time, until none of them is linear.
CHUNK = 24
# Numbers of a run of changes: of every result from the first operation that is moved on.
RUN_SIZE = 1 << 22
# ... and of one with fewer, for each operation that is followed: more runs of less take longer.
RUN_SIZE_EACH = 1 << 12
# Entries of a result whose weights are looked for one by one.
MOST_SINGLE = 2048
# Relative difference, of the sum of |terms|, that is rounding.
ROUNDING = 1e-11
# Sets of terms that are tried.
TRIES = 12
# The inputs are moved by this share of their size; where that takes another branch, by one that still tells a curve
# from a line.
SHARES = 0.1, 1e-4


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
    for share in SHARES:
        with suppress(NoRule):  # another branch, so far away
            return _terms_seen(program, inputs, share, generator)
    return ()


def _terms_seen(
    program: ObservedProgram, inputs: Sequence[Array], share: float, generator: "Generator"
) -> tuple[Term, ...]:
    """Return what moving the inputs by a share of their size tells."""
    far = {
        number: share * (np.abs(value) + _usual(value)) * generator.normal(size=(2, *value.shape))
        for number, value in enumerate(inputs)
        if value.size
    }
    with np.errstate(all="ignore"):
        response = program.run(far, observe=None)
        if response.changes[0] is None or not np.isfinite(response.changes[0]).all():
            return ()
        if all(change[0].size == 1 for change in response.observed.values()):
            return ()  # numbers only: there is nothing to cut
        cut = _Cut(program, response.observed, generator)
        return cut.terms(far, response.changes[0])


def _usual(value: Array) -> float:
    return float(np.sqrt(np.mean(value**2))) or 1.0


class _Cut:
    """The results that move, and which of them the cost is linear in.

    Many operations share a run, each with rows of its own: a program of scalars has thousands of them.
    """

    def __init__(self, program: ObservedProgram, moved: Mapping[int, Array], generator: "Generator") -> None:
        self.program, self.moved, self.generator = program, moved, generator
        self.weights: dict[int, Array | None] = {}
        self._last_first = sorted(moved, reverse=True)
        # By operation, the numbers in its result and those of all later ones.
        self._behind = dict(zip(
            self._last_first, np.cumsum([moved[site][0].size for site in self._last_first]).tolist(), strict=True
        ))

    def terms(self, far: dict[int, Array], effect: Array) -> tuple[Term, ...]:
        """Terms that are proven to be all; none where only the cost's last number itself is."""
        linear = self._linear()
        waiting: list[frozenset[int]] = [frozenset()]
        for _ in range(TRIES):
            if not waiting:
                break
            without = waiting.pop(0)
            left = [site for site in linear if site not in without]
            found = self.frontier(left)
            if sum(term.weight.size for term in found) <= 1:
                continue
            if self.proven(found, far, effect):
                return found
            late = self._too_early([term.site for term in found], left)
            if late:
                # A loop has many alike, and what nothing met here (a label that has the maximum) is met elsewhere.
                shapes = {term.weight.shape for term in found if term.site in late}
                alike = frozenset(term.site for term in found if term.weight.shape in shapes)
                waiting += dict.fromkeys((without | alike, without | late))
        return ()

    def _too_early(self, sites: Sequence[int], linear: Sequence[int]) -> frozenset[int]:
        """Return those of the first results that something else meets before the cost: they are no part of any cut.

        A later result, in which the cost is linear too, tells: it changes by more than what each of the first ones does
        to it.  Whatever else flows in there can only be cut there or further on, and so can what comes before it.
        """
        later = [site for site in linear if site not in set(sites) and self.weights.get(site, True) is not None]
        total = {site: np.zeros(self.moved[site].shape) for site in later}
        size = {site: np.zeros(self.moved[site].shape) for site in later}
        movers: dict[int, set[int]] = {site: set() for site in later}
        for block in ranges(len(sites), max(1, RUN_SIZE // (2 * self._behind[min(sites)]))):
            part = sites[block]
            injected = {site: self._in_one_pair(site, pair, len(part)) for pair, site in enumerate(part)}
            for site, change in self.program.run({}, injected, observe=later).observed.items():
                pairs = change.reshape(len(part), *self.moved[site].shape)
                total[site] += pairs.sum(axis=0)
                size[site] += np.abs(pairs).sum(axis=0)
                moving = pairs.reshape(len(part), -1).any(axis=1)
                movers[site].update(part[pair] for pair in np.flatnonzero(moving).tolist())
        met = [site for site in later if np.any(np.abs(self.moved[site] - total[site]) > ROUNDING * size[site])]
        if not met:
            return frozenset()
        behind = self._reached(met)
        return frozenset().union(*(movers[site] for site in met if site not in behind))

    def _in_one_pair(self, site: int, pair: int, pairs: int) -> Array:
        """Return pairs of rows of changes of a result; one pair is what it made when the inputs moved far."""
        moved = self.moved[site]
        changes = np.zeros((pairs, *moved.shape))
        changes[pair] = moved
        return changes.reshape(-1, *moved.shape[1:])

    def frontier(self, linear: Sequence[int]) -> tuple[Term, ...]:
        """The first results on each way to the cost, among those that it is linear in, whose weights can be told."""
        left = sorted(linear)
        while left:
            reached = self._reached(left)
            first = [site for site in left if site not in reached]
            self._weigh(first)
            weights = {site: weight for site in first if (weight := self.weights[site]) is not None}
            if len(weights) == len(first):
                return tuple(Term(site, weight) for site, weight in weights.items())
            left = [site for site in left if site in reached or site in weights]
        return ()

    def _reached(self, sites: Sequence[int]) -> set[int]:
        """Return those of some operations whose results others of them move.

        Two rows for each binary digit of an operation's place move those with a 0 and those with a 1 there.  Any two
        places differ in one digit at least: there one is moved while the other is not.
        """
        digits = max(1, (len(sites) - 1).bit_length())
        reached: set[int] = set()
        for block in ranges(digits, max(1, RUN_SIZE // (2 * self._behind[sites[0]]))):
            rows = np.arange(digits)[block]
            digit_of = {site: place >> rows & 1 for place, site in enumerate(sites)}
            injected = {site: self._in_one_of_two(site, digit) for site, digit in digit_of.items()}
            observed = self.program.run({}, injected, observe=sites).observed
            other = 2 * np.arange(rows.size) + 1
            reached.update(site for site, digit in digit_of.items() if np.any(observed[site][other - digit]))
        return reached

    def _in_one_of_two(self, site: int, which: Indices) -> Array:
        """Return pairs of rows of changes of a result, of which one or the other is zero."""
        change = self._random(site)
        pairs = np.zeros((which.size, 2, *change.shape))
        pairs[np.arange(which.size), which] = change
        return pairs.reshape(-1, *change.shape)

    def _linear(self) -> list[int]:
        """Return numbers of operations whose results' changes, of any size, the cost's is proportional to.

        Complex results are none of them: a cost that is real weighs their two parts each by itself.
        """
        found: list[int] = []
        start, most = 0, CHUNK
        sites = [site for site in self._last_first if not np.iscomplexobj(self.moved[site])]
        while start < len(sites):
            chunk = sites[start : start + most]
            linear = self._linear_of(chunk)
            if not linear:
                break
            found, start, most = found + linear, start + most, 2 * most
        return found

    def _linear_of(self, chunk: Sequence[int]) -> list[int]:
        """Return those of a chunk that the cost is linear in, and feels at all."""
        drawn = ((site, self._random(site)) for site in chunk)
        effects = self._effects((site, np.stack([change, -2.0 * change])) for site, change in drawn)
        once, twice = np.array([effects[site] for site in chunk]).T
        with np.errstate(invalid="ignore"):
            linear = (once != 0.0) & (np.abs(twice + 2.0 * once) <= ROUNDING * np.abs(twice))
        return [site for site, found in zip(chunk, linear, strict=True) if found]

    def _random(self, site: int) -> Array:
        """Return a change of a result as large as the one that it made when the inputs moved far."""
        return _usual(self.moved[site]) * self.generator.normal(size=self.moved[site].shape[1:])

    def _weigh(self, sites: Sequence[int]) -> None:
        """Note what results weigh in the cost; None where it cannot be told."""
        waiting = [site for site in reversed(sites) if site not in self.weights]
        changes = {site: np.stack([self._random(site) for _ in range(2)]) for site in waiting}
        effects = self._effects(changes.items())
        for site, change in changes.items():
            even = float(effects[site][0] / np.sum(change[0])) if np.sum(change[0]) else 0.0
            self._try(site, np.full(change.shape[1:], even), change, effects[site])
        uneven = [site for site in waiting if self.weights[site] is None and changes[site][0].size <= MOST_SINGLE]
        for site, effect in self._effects(self._single(uneven)).items():
            change = changes[site]
            self._try(site, effect.reshape(change.shape[1:]) / _usual(self.moved[site]), change, effects[site])

    def _try(self, site: int, weight: Array, change: Array, effect: Array) -> None:
        """Note a result's weight where it explains what changes do; else None.

        What does nothing, such as the maximum that is subtracted before a softmax, is only in the way of what follows.
        """
        self.weights[site] = weight if np.any(effect) and self._explains(weight, change, effect) else None

    def _single(self, sites: Sequence[int]) -> Iterator[tuple[int, Array]]:
        """Yield changes of the single entries of results, in blocks."""
        for site in sites:
            shape = self.moved[site].shape[1:]
            size = self.moved[site][0].size
            for block in ranges(size, max(1, RUN_SIZE // self._behind[site])):
                entries = np.arange(size)[block]
                changes = np.zeros((entries.size, size))
                changes[np.arange(entries.size), entries] = _usual(self.moved[site])
                yield site, changes.reshape(-1, *shape)

    def _effects(self, changes: Iterable[tuple[int, Array]]) -> dict[int, Array]:
        """Return what rows of changes of several results, the last first, do to the cost, each row by itself."""
        found: dict[int, list[Array]] = {}
        for group in self._runs(changes):
            rows, start = sum(len(change) for _, change in group), 0
            injected: dict[int, Array] = {}
            for site, change in group:
                whole = injected.setdefault(site, np.zeros((rows, *change.shape[1:])))
                whole[start : start + len(change)] = change
                start += len(change)
            stops = np.cumsum([len(change) for _, change in group])
            for (site, _), effect in zip(group, np.split(self._effect(injected), stops[:-1]), strict=True):
                found.setdefault(site, []).append(effect)
        return {site: np.concatenate(parts) for site, parts in found.items()}

    def _runs(self, changes: Iterable[tuple[int, Array]]) -> Iterator[list[tuple[int, Array]]]:
        """Yield changes together that share a run of bounded size.

        Late results are moved apart from early ones, so that these do not have to be followed in as many rows.
        """
        group: list[tuple[int, Array]] = []
        rows, most = 0, min(RUN_SIZE, RUN_SIZE_EACH * len(self._behind))
        for site, change in changes:
            rows += len(change)
            if group and rows * self._behind[site] > most:
                yield group
                group, rows = [], len(change)
            group.append((site, change))
        if group:
            yield group

    def _effect(self, injected: dict[int, Array]) -> Array:
        found = self.program.run({}, injected).changes[0]
        return np.zeros(len(next(iter(injected.values())))) if found is None else found.reshape(-1)

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
