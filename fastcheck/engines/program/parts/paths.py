"""Which parts of a program's gradient are missing from the one handed in, or in it too often.

The parts are looked for where people lose them: among the outputs and the samples of an output, among the uses of a
parameter, among the times that one line of a loop runs, and at single operations.  See ``contributions`` for how they
are measured and ``shares`` for what proves a claim.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from ...._errors import NoRule
from ...._types import Array, Mask
from ....problems.parameters.tensor import Tensor
from ..problem import ProgramProblem
from .activations_found import with_other_slopes
from .contributions import MIXTURES, Contributions, Moved, WatchedProgram
from .numbers_added import of_numbers
from .places import places_of
from .shares import Place, in_words, plain, shares

# Operations beyond which a program is not looked into, and entries of a tensor.
MOST_OPERATIONS, MOST_ENTRIES = 600, 4096
# Perturbations that go into single operations in all: beyond, fewer of the failing tensors are looked at so.
MOST_COLUMNS = 6144
# What is left of the error of each of several tensors that are explained together.
EACH = 1e-6
# An axis is taken apart if it is no longer than this.
MOST_SLICES = 24
# Neighbours that a stencil takes together.
MOST_NEIGHBOURS = 9


@dataclass(frozen=True)
class Guess:
    """Parts that the gradients of some tensors may hold too often or too rarely.

    parts : by the tensor's name, (r, m); places : where each part goes through.
    weighed : whether any shares are believed, as those of batches of unequal sizes; else only ``plain`` ones.
    mixed : whether the parts are (r, k), along mixtures of the directions.
    """

    parts: Mapping[str, Array]
    places: tuple[Place, ...]
    weighed: bool = False
    mixed: bool = True


@dataclass
class Paths:
    """The parts of a program's gradient; nothing runs before ``said`` is asked.

    Parameters
    ----------
    problem : the program at the point that was checked.

    Notes
    -----
    It holds the caller's function; pickled, it is None.
    """

    problem: ProgramProblem
    _known: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()

    def said(self, failing: Sequence[Tensor], gradient: Array, approx: Mapping[str, Array]) -> Mapping[str, str]:
        """What is wrong with gradients, as sentences without their ends, by the tensor's name; only what is proven.

        Parameters
        ----------
        failing : the tensors whose gradients are wrong.
        gradient : (n,) all gradients handed in.
        approx : by name, the numerical gradient of each failing tensor, flat.
        """
        names = tuple(tensor.name for tensor in failing)
        if names not in self._known:
            try:
                with np.errstate(all="ignore"):
                    self._known[names] = _Search(self.problem, failing, gradient, approx).found()
            except NoRule:
                self._known[names] = {}
        return self._known[names]


class _Search:
    """One look at a program."""

    def __init__(
        self, problem: ProgramProblem, failing: Sequence[Tensor], gradient: Array, approx: Mapping[str, Array]
    ) -> None:
        numbers = {tensor.name: number for number, tensor in enumerate(problem.tensors)}
        inputs = problem.inputs(problem.theta)
        self.run = Contributions(cast(WatchedProgram, problem.program), inputs, problem.weights)
        self.moved: dict[str, Moved] = {}
        self.error: dict[str, Array] = {}
        self.size: dict[str, float] = {}
        self.whole: dict[str, Array] = {}
        for tensor in failing:
            moved = self.run.moved(numbers[tensor.name]) if 0 < tensor.size <= MOST_ENTRIES else None
            if moved is None or len(moved.record.changes) > MOST_OPERATIONS:
                continue
            mine = gradient[tensor.start : tensor.stop]
            self.moved[tensor.name] = moved
            self.error[tensor.name] = moved.directions @ (mine - approx[tensor.name])
            self.whole[tensor.name] = moved.directions @ approx[tensor.name]
            self.size[tensor.name] = float(np.linalg.norm(moved.directions @ mine))

        self.places = places_of(self.moved.values())
        self.measured: dict[tuple[str, int], Array] = {}

    def found(self) -> dict[str, str]:
        """The first claim that is proven for each tensor, of all failing tensors together, else of each by itself."""
        said: dict[str, str] = {}
        followed = {name: moved for name, moved in self.moved.items() if moved.outputs is not None}
        for guesses in (self._outputs, self._terms, self._uses, self._visits, self._single):
            left = [name for name in followed if name not in said]
            with suppress(NoRule):  # as branches that turn far from theta raise it: the other guesses need not
                for guess in guesses(left) if left else ():
                    said |= self._proven(guess, [name for name in left if name not in said])
        rest = {name: moved for name, moved in self.moved.items() if moved.outputs is None}
        with suppress(NoRule):
            said |= of_numbers(self.run, rest, self.error, self.whole) if rest else {}
        left = [name for name in followed if name not in said]
        with suppress(NoRule):
            said |= with_other_slopes(self.run, {name: followed[name] for name in left}, self.error, self.whole)
        return said

    def _proven(self, guess: Guess, names: Sequence[str]) -> dict[str, str]:
        """Whom a guess explains."""
        names = [name for name in names if name in guess.parts]
        said: dict[str, str] = {}
        for chosen in ([names] if len(names) > 1 else []) + [[name] for name in names]:
            if any(name in said for name in chosen):
                continue
            error = np.concatenate([self._along(self.error, name, guess) for name in chosen])
            parts = np.concatenate([guess.parts[name] for name in chosen], axis=1)
            alive: Mask = np.asarray(parts.any(axis=1))
            if not alive.any():
                continue
            found = shares(error, parts[alive], sum(self.size[name] for name in chosen))
            if found is None:
                continue
            if not all(self._explained(name, found - 1.0, guess, alive) for name in chosen):
                continue
            # what adds nothing may have any share: that of the others, where theirs is one
            all_shares = np.full(len(parts), found[0] if np.all(found == found[0]) else 1.0)
            all_shares[alive] = found
            if not (guess.weighed or plain(all_shares)):
                continue
            said |= {name: in_words(f"d{name}", all_shares, guess.places) for name in chosen}
        return {name: words for name, words in said.items() if words}

    def _explained(self, name: str, off: Array, guess: Guess, alive: Mask) -> bool:
        """Whether shares explain one of several tensors."""
        error = self._along(self.error, name, guess)
        return bool(np.linalg.norm(error - off @ guess.parts[name][alive]) <= EACH * np.linalg.norm(error))

    def _along(self, values: Mapping[str, Array], name: str, guess: Guess | None = None) -> Array:
        """A tensor's values along its directions, or along the mixtures of them where a guess is measured so."""
        return values[name] if guess is not None and not guess.mixed else self.moved[name].mix @ values[name]

    def _outputs(self, names: Sequence[str]) -> Iterator[Guess]:
        """Several outputs; and the samples, steps or whatever lies along an axis of one."""
        first = self.moved[names[0]].outputs
        assert first is not None  # noqa: S101 - asked only where they were followed
        of = {name: self.moved[name].outputs or () for name in names}
        if len(first) > 1:
            parts = {name: np.stack([_summed(one) for one in outputs]) for name, outputs in of.items()}
            places = tuple(Place(f"output {k} (its upstream gradient)") for k in range(len(first)))
            yield Guess(parts, places, mixed=False)
        for k in range(len(first)):
            which = f"output {k}" if len(first) > 1 else "the output"
            yield from _along_axes({name: outputs[k] for name, outputs in of.items()}, which)

    def _terms(self, names: Sequence[str]) -> Iterator[Guess]:
        """The samples, or whatever lies along an axis of what the cost is a weighted sum of."""
        for term in self.run.terms():
            having = {name: self.moved[name] for name in names if term.site in self.moved[name].record.changes}
            parts = {name: np.real(moved.record.changes[term.site]) * term.weight / moved.step
                     for name, moved in having.items()}
            if parts:
                yield from _along_axes(parts, str(next(iter(having.values())).record.sources[term.site]))

    def _uses(self, names: Sequence[str]) -> Iterator[Guess]:
        """The uses of a parameter: one by one, or all visits of an expression together."""
        for name in names:
            moved = self.moved[name]
            direct = self.run.direct(moved)
            if not 0 < len(direct) <= MOST_OPERATIONS:
                continue
            sites = sorted(direct)
            parts = self.run.effects(moved, [(site, direct[site]) for site in sites])
            whole = self._along(self.whole, name)
            if np.linalg.norm(parts.sum(axis=0) - whole) > EACH * np.linalg.norm(whole):
                continue  # the parameter acts otherwise as well
            places = self._of_uses(name, direct)
            yield Guess({name: parts}, places)
            yield from self._neighbours(name, direct)
            groups: dict[str, list[int]] = defaultdict(list)
            for row, place in enumerate(places):
                groups[place.words].append(row)
            if 1 < len(groups) < len(sites):
                together = np.stack([parts[rows].sum(axis=0) for rows in groups.values()])
                named = tuple(Place(f"{words}{_times(len(rows))}") for words, rows in groups.items())
                yield Guess({name: together}, named)
            for rows in groups.values():
                yield from _some_visits({name: parts[rows]}, tuple(places[row] for row in rows))

    def _of_uses(self, name: str, direct: Mapping[int, Array]) -> tuple[Place, ...]:
        """Places of a parameter's uses: where something else of it comes in as well, the parameter itself is meant."""
        changes = self.moved[name].record.changes
        mixed = {self.places[site].words for site, change in direct.items() if np.any(change != changes[site])}
        places = [self.places[site] for site in sorted(direct)]
        return tuple(replace(place, words=f"{name} itself in {place.words}") if place.words in mixed else place
                     for place in places)

    def _neighbours(self, name: str, direct: Mapping[int, Array]) -> Iterator[Guess]:
        """The neighbours of an entry in a vector that an operation takes together, as a stencil does."""
        moved = self.moved[name]
        size = len(moved.directions)
        if self.run.inputs[moved.number].shape != (size,):  # not one direction for each entry of a vector
            return
        for site, change in direct.items():
            if change.ndim != 2 or change.shape[1] < 2:
                continue
            offset = np.arange(change.shape[1]) - np.arange(size)[:, None]
            offsets = np.unique(offset[change != 0.0])
            if 1 < offsets.size <= MOST_NEIGHBOURS:
                parts = self.run.effects(moved, [(site, np.where(offset == k, change, 0.0)) for k in offsets])
                where = self.places[site]
                yield Guess({name: parts}, tuple(Place(f"the neighbour at {k:+d} in {where}") for k in offsets))

    def _visits(self, names: Sequence[str]) -> Iterator[Guess]:
        """The times that one expression is evaluated, as in a loop."""
        names = self._few(names)
        groups: dict[str, list[int]] = defaultdict(list)
        for site, place in self.places.items():
            groups[place.words].append(site)
        for sites in groups.values():
            if len(sites) > 1:
                parts = {name: self._effects(name, sites) for name in names}
                places = tuple(self.places[site] for site in sites)
                yield Guess(parts, places, weighed=True)
                yield from _some_visits(parts, places)

    def _single(self, names: Sequence[str]) -> Iterator[Guess]:
        """Single operations."""
        names, sites = self._few(names), sorted(self.places)
        if not sites:  # a function that only moves entries about
            return
        parts = {name: self._effects(name, sites) for name in names}
        for row, site in enumerate(sites):
            mine = {name: parts[name][row : row + 1] for name in names}
            if not all(np.allclose(part[0], self._along(self.whole, name), rtol=EACH, atol=0.0)
                       for name, part in mine.items()):
                yield Guess(mine, (self.places[site],), weighed=True)  # all of a gradient tells no place

    def _few(self, names: Sequence[str]) -> Sequence[str]:
        """The first of some tensors, as many as single operations can be measured for."""
        return names[: max(1, MOST_COLUMNS // (MIXTURES * max(len(self.places), 1)))]

    def _effects(self, name: str, sites: Sequence[int]) -> Array:
        """What goes through operations, (places, m); each is measured once."""
        moved = self.moved[name]
        new = [site for site in sites if site in moved.record.changes and (name, site) not in self.measured]
        effects = self.run.effects(moved, [(site, moved.record.changes[site]) for site in new])
        self.measured |= {(name, site): effect for site, effect in zip(new, effects, strict=True)}
        nothing = np.zeros(len(moved.mix))
        return np.stack([self.measured.get((name, site), nothing) for site in sites])


def _along_axes(parts: Mapping[str, Array], which: str) -> Iterator[Guess]:
    """The indices of each axis of something that the cost is linear in; (m, *shape) by name."""
    one = next(iter(parts.values()))
    for axis in range(1, one.ndim):
        length = one.shape[axis]
        if 1 < length <= MOST_SLICES:
            mine = {name: np.moveaxis(part, axis, 0).reshape(length, len(part), -1).sum(axis=2)
                    for name, part in parts.items()}
            words = f"axis {axis - 1} of {which}"
            places = tuple(Place(words, j + 1, length, index=True) for j in range(length))
            yield Guess(mine, places, mixed=False)


def _some_visits(parts: Mapping[str, Array], places: tuple[Place, ...]) -> Iterator[Guess]:
    """All visits but one at an end, and that one, with a share each: for more visits than there are equations."""
    count = len(places)
    if count < 3:
        return
    ends: tuple[tuple[str, Callable[[Array], Array]], ...] = (
        (f"all but the last of {count} times", lambda rows: rows[:-1]),
        (f"all but the first of {count} times", lambda rows: rows[1:]),
        (f"all {count} times", lambda rows: rows),
    )
    for words, some in ends:
        chosen = {name: some(rows).sum(axis=0, keepdims=True) for name, rows in parts.items()}
        yield Guess(chosen, (Place(f"{places[0].words}, {words}", conjugate=places[0].conjugate),))


def _times(count: int) -> str:
    return f", all {count} times" if count > 1 else ""


def _summed(parts: Array) -> Array:
    return np.asarray(parts.reshape(len(parts), -1).sum(axis=1))
