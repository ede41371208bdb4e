"""What of a gradient goes through which place of a program, along random directions.

An operation's result moves by c when the parameters move along a direction.  The same c injected at that result, with
the parameters still, moves the cost by what goes through this operation.  All changes are 2^-44 of the parameters'
size, so that all this is linear to rounding.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...._types import Array
from ..cut import terms_of
from ..protocols import ObservedProgram, Response
from ..runner import Term
from .looking import OtherSlopes, Recorder

# Changes are this share of a tensor's usual size.
SHARE = 2.0**-44
# Directions in each tensor: enough to tell some twenty parts apart; and mixtures of them along which single operations
# are measured, which takes a run for each: enough for some dozen.
DIRECTIONS, MIXTURES = 32, 16
# Perturbations, and numbers of their changes, of one run.
BATCH, NUMBERS = 1 << 11, 1 << 21


class WatchedProgram(ObservedProgram, Protocol):
    """A program whose every result can be looked at and changed: see ``arrays.program.Program.watched``."""

    def watched(
        self, changes: dict[int, Array], observer: Callable[[], Any], batch: int
    ) -> tuple[Response | None, Any]:
        """The response, None where the outputs could not be followed, and who looked on."""
        ...


@dataclass(frozen=True)
class Moved:
    """One tensor moved along random directions, and all that moves with it.

    Parameters
    ----------
    number : of the program's input.
    directions : (m, n), of the tensor.
    mix : (k, m), the mixtures of them along which operations are measured.
    step : what they were multiplied by.
    record : of all results that moved.
    outputs : what each entry of each output adds to the cost's change, (m, *shape) each, over the step; None where the
        program's outputs could not be followed.
    """

    number: int
    directions: Array
    mix: Array
    step: float
    record: Recorder
    outputs: tuple[Array, ...] | None


class Contributions:
    """Runs a program for them.

    Parameters
    ----------
    program : a NumPy program.
    inputs : its inputs' values.
    weights : one for each output: the cost is the sum of their products.
    """

    def __init__(self, program: WatchedProgram, inputs: Sequence[Array], weights: Sequence[Array]) -> None:
        self._program, self.inputs, self._weights = program, inputs, weights

    def moved(self, number: int) -> Moved | None:
        """Move an input along random directions; None where too much moves."""
        value = self.inputs[number]
        count = min(value.size, DIRECTIONS)
        directions = np.random.default_rng(number).standard_normal((count, value.size))
        if value.size <= count:
            directions = np.eye(value.size)
        step = SHARE * (float(np.sqrt(np.mean(value**2))) or 1.0)
        change = {number: (step * directions).reshape(count, *value.shape)}
        response, record = self._program.watched(change, Recorder, count)
        if record.full:
            return None
        outputs = None if response is None else tuple(self._weighted(response, count, step))
        mix = np.eye(count)
        if count > MIXTURES:
            mix = np.random.default_rng(number).standard_normal((MIXTURES, count))
        return Moved(number, directions, mix, step, record, outputs)

    def _weighted(self, response: Response, count: int, step: float) -> Iterator[Array]:
        for change, weight in zip(response.changes, self._weights, strict=True):
            shape = (count, *np.shape(weight))
            yield np.zeros(shape) if change is None else np.real(change).reshape(shape) * weight / step

    def gradients(self, number: int, sites: Sequence[int]) -> Array:
        """The gradients of results that are single numbers by one input, (results, n)."""
        value = self.inputs[number]
        step = SHARE * (float(np.sqrt(np.mean(value**2))) or 1.0)
        change = {number: (step * np.eye(value.size)).reshape(value.size, *value.shape)}
        _, record = self._program.watched(change, lambda: Recorder(only=sites), value.size)
        found = np.zeros((len(sites), value.size))
        for row, site in enumerate(sites):
            if site in record.changes:
                found[row] = np.real(record.changes[site]).reshape(-1) / step
        return found

    def terms(self) -> tuple[Term, ...]:
        """The results that the cost is a weighted sum of, where they can be told."""
        scale = float(np.asarray(self._weights[0]).reshape(-1)[0]) if len(self._weights) == 1 else 0.0
        found = terms_of(self._program, self.inputs, np.random.default_rng(0))
        return tuple(Term(term.site, scale * term.weight) for term in found)

    def direct(self, moved: Moved) -> dict[int, Array]:
        """By the operation's number, the changes of results that the input itself moves, not through another."""
        count = len(moved.directions)
        change = (moved.step * moved.directions).reshape(count, *self.inputs[moved.number].shape)
        _, record = self._program.watched({moved.number: change}, lambda: Recorder(still=True), count)
        return dict(record.changes)

    def effects(self, moved: Moved, injected: Sequence[tuple[int, Array]]) -> Array:
        """What goes through some places, (places, k), along the mixtures.

        Parameters
        ----------
        moved : the tensor moved.
        injected : operations' numbers, and the changes of their results, (m, *shape).

        Raises
        ------
        NoRule : where the program cannot be followed.
        """
        count = len(moved.mix)
        found = np.zeros((len(injected), count))
        for first, last in _chunks(injected, count):
            chunk = [(site, np.tensordot(moved.mix, change, 1)) for site, change in injected[first:last]]
            sites: dict[int, Array] = {}
            for row, (site, change) in enumerate(chunk):
                place = sites.setdefault(site, np.zeros((len(chunk) * count, *change.shape[1:]), change.dtype))
                place[row * count : (row + 1) * count] = change
            response = self._program.run({}, sites)
            parts = self._weighted(response, len(chunk) * count, moved.step)
            total = sum(part.reshape(len(part), -1).sum(axis=1) for part in parts)
            found[first:last] = np.reshape(total, (len(chunk), count))
        return found

    def with_slopes(self, moved: Moved, slopes: Mapping[int, tuple[int, Array]]) -> Array | None:
        """Changes of the cost, (m,), where results move by other slopes; None where the program cannot be followed.

        slopes : as in ``OtherSlopes``; the input's changes have the number 0, which no operation has.
        """
        count = len(moved.directions)
        change = (moved.step * moved.directions).reshape(count, *self.inputs[moved.number].shape)
        response, _ = self._program.watched({moved.number: change}, lambda: OtherSlopes(slopes, {0: change}), count)
        if response is None:
            return None
        return np.asarray(sum(p.reshape(count, -1).sum(axis=1) for p in self._weighted(response, count, moved.step)))


def _chunks(injected: Sequence[tuple[int, Array]], count: int) -> Iterator[tuple[int, int]]:
    """Slices of places that fit into one run."""
    first = 0
    while first < len(injected):
        last, numbers = first, 0
        while last < len(injected):
            numbers += injected[last][1][0].size
            rows = (last + 1 - first) * count
            if last > first and (rows > BATCH or rows * numbers > NUMBERS):
                break
            last += 1
        yield first, last
        first = last

