"""From the responses of units to perturbed costs: sums over samples, as matrix products."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices
from ...problems.gradients import NumericalGradient
from ...problems.networks.problem import Problem
from ...runtime.run import Run
from ...runtime.threads import run_all
from . import unit_responses
from .block import Block
from .columns import AT_KINK, CLEAN, NEAR_KINK
from .groups import ROWS
from .kernel_arrays import LINEAR, OUTPUTS, START, Buffers, Z, buffers
from .places import Places, kinks_of
from .responses import Responses, powers_of

# Entries whose costs are written together.
FINISH = 1 << 16
# Multiply-adds of a piece of literal work: it ends soon enough for Ctrl-C.
LITERAL_OPERATIONS = 5e7


def run_of(units: Indices) -> Any:
    """Ascending indices as a slice where they have no gaps: a view instead of a copy."""
    return slice(units[0], units[-1] + 1) if units[-1] - units[0] == len(units) - 1 else units


class Sums:
    """(J_plus - J_minus) / 2 and (J_plus + J_minus) / 2 - J at the checked positions, added up block by block."""

    def __init__(self, problem: Problem, indices: Indices | None, epsilon: float) -> None:
        self.problem = problem
        self.epsilon = epsilon
        self.indices = indices
        size = problem.theta.size if indices is None else indices.size
        self.odd, self.even = np.zeros(size), np.zeros(size)
        self.loss, self.blocks = 0.0, 0
        self.places = [Places(problem, layer, indices) for layer in range(len(problem.network.layers))]
        self.kinks: list[tuple[Indices, Array, Array]] = []
        self.noise = np.zeros(len(problem.network.tensors))  # of one block at most
        order = {tensor: number for number, tensor in enumerate(problem.network.tensors)}
        self.numbers = [{kind: order[t] for kind, t in place.tensors.items()} for place in problem.network.places]

    def add(self, block: Block, responses: list[Responses], run: Run) -> None:
        """Add one block's responses."""
        self.blocks += 1
        self.loss += float(block.losses.sum())
        height = _height(block)
        for layer, found in enumerate(responses):
            self._add_noise(block, layer, found, height)
            self._add_layer(block, layer, found, run)

    def _add_layer(self, block: Block, layer: int, found: Responses, run: Run) -> None:
        """Add one layer's responses, and note its kinks."""
        worst = found.kinds.max(initial=CLEAN)
        literal = respond_literally(block, layer, found, run) if worst >= NEAR_KINK else {}
        inputs = block.inputs[layer]
        powers = {degree: powers_of(inputs, int(degree)) for degree in np.unique(found.degrees[found.units])}
        place = self.places[layer]

        def add(units: Indices) -> None:
            rows = run_of(units)
            odd_powers, even_powers = powers[found.degree(rows)]
            odd = found.odd(rows, self.epsilon).T @ odd_powers
            even = found.even(rows, self.epsilon).T @ even_powers
            for row, unit in enumerate(units):
                if unit in literal:
                    odd[row] += literal[unit].odd
                    even[row] += literal[unit].even
            place.add(self.odd, units, block.scale * odd)
            place.add(self.even, units, block.scale * even)

        chunks = [found.units[k : k + ROWS] for k in range(0, len(found.units), ROWS)]
        run_all(add, chunks, run.threads if inputs.size * len(found.units) > 1e6 else 1)
        if worst > CLEAN:
            for units in chunks:
                self._add_kinks(block, layer, found, units, literal)

    def _add_noise(self, block: Block, layer: int, found: Responses, height: float) -> None:
        """Rounding of sums of slope times input, and of the pre-activations that curved functions see."""
        slopes, inputs = found.powers[0], block.inputs[layer]
        steepest = np.einsum("si,si->i", slopes, slopes).max()
        if found.kinds.any():  # where responses are not polynomials, slopes are kept as bounds
            steepest = max(steepest, (found.bounds**2).sum(axis=1).max())
        largest = np.einsum("sj,sj->j", inputs, inputs)[:-1].max()
        unit = 4.0 * UNIT_ROUNDOFF * (1.0 + height) * block.scale * float(np.sqrt(steepest))
        of_weights, of_biases = unit * float(np.sqrt(largest)), unit * float(np.sqrt(block.m))
        for kind, noise in (("W", of_weights), ("b", of_biases)):
            number = self.numbers[layer][kind]
            self.noise[number] = max(self.noise[number], noise)

    def _add_kinks(
        self, block: Block, layer: int, found: Responses, units: Indices, literal: "dict[int, Literal]"
    ) -> None:
        """Note parameters at kinks, and how far their one-sided derivatives lie from the central difference."""
        kinds, a = found.kinds[:, units], block.inputs[layer]
        touched = (kinds == AT_KINK).T.astype(float) @ (a != 0.0) > 0.0
        for row, unit in enumerate(units):
            if unit in literal:
                touched[row] |= literal[unit].kinked
        if not touched.any():
            return
        met = kinds != CLEAN
        low, high = np.where(met, found.bounds[:, :, units], 0.0).transpose(0, 2, 1)
        up, down = np.maximum(a, 0.0), np.maximum(-a, 0.0)
        powers = np.where(kinds == AT_KINK, found.powers[:, :, units], 0.0)
        at_kinks = Responses(np.arange(len(units)), powers, np.full(len(units), 6), found.bounds, kinds)
        central = at_kinks.odd(slice(None), self.epsilon).T @ powers_of(a, 6)[0]
        for row, unit in enumerate(units):
            if unit in literal:
                central[row] += literal[unit].odd
        central /= self.epsilon
        positions, rows, inputs = self.places[layer].select(units, touched)
        self.kinks.append(
            (
                positions,
                block.scale * (low @ up - high @ down - central)[rows, inputs],
                block.scale * (high @ up - low @ down - central)[rows, inputs],
            )
        )

    def value(self, layer: int, unit: int, column: int) -> Array | None:
        """Odd and even part so far of one parameter (column = inputs: the bias), None where it is not checked."""
        position = self.places[layer].position(unit, column)
        return None if position is None else np.array([self.odd[position], self.even[position]])

    def finish(self, run: Run, facts: dict[str, Any], notes: tuple[str, ...] = ()) -> NumericalGradient:
        """Return the costs themselves, the penalty included; the sums' memory becomes the results'."""
        network, m = self.problem.network, self.problem.m
        cost = network.cost_entry.scale(m, network.widths[-1]) * self.loss
        cost += network.penalty(self.problem.parameters, m)
        J_minus = np.empty_like(self.odd)
        rate = network.l2 / m

        def write(first: int) -> None:
            here = slice(first, first + FINISH)
            odd, even, minus = self.odd[here], self.even[here], J_minus[here]
            if rate:
                self._penalise(rate, here, odd, even)
            np.subtract(even, odd, out=minus)
            minus += cost
            even += odd
            even += cost
            odd /= self.epsilon

        run_all(write, range(0, self.odd.size, FINISH), run.threads)
        noise = network.layout.spread(self.blocks * self.noise, self.indices)
        kinks = kinks_of(self.kinks, self.odd)
        return NumericalGradient(cost, self.even, J_minus, self.odd, noise, kinks, notes, facts)

    def _penalise(self, rate: float, here: slice, odd: Array, even: Array) -> None:
        """Add the penalty's differences, rate / 2 ((w +- epsilon)^2 - w^2), to some of the odd and even parts."""
        places = np.arange(here.start, here.start + odd.size) if self.indices is None else self.indices[here]
        starts, stops = np.array([(t.start, t.stop) for t in self.problem.network.penalised]).T
        tensor = np.searchsorted(starts, places, "right") - 1
        penalised = (tensor >= 0) & (places < stops[tensor])
        odd[penalised] += rate * self.epsilon * self.problem.theta[places[penalised]]
        even[penalised] += 0.5 * rate * self.epsilon * self.epsilon


def _height(block: Block) -> float:
    """Return the largest pre-activation that a curved function sees."""
    arrays = block.arrays
    last = len(arrays.layers) - 1
    curved = [layer for k, layer in enumerate(arrays.layers) if not layer[LINEAR] or (arrays.logits and k == last)]
    parts = [arrays.units[:, layer[START] : layer[START] + layer[OUTPUTS], Z] for layer in curved]
    return float(max((np.abs(z).max() for z in parts), default=0.0))


@dataclass(frozen=True)
class Literal:
    """A unit's responses at every x, summed over the samples that need it: (inputs + 1,) each."""

    odd: Array
    even: Array
    kinked: Any


def respond_literally(block: Block, layer: int, found: Responses, run: Run) -> dict[int, Literal]:
    """Units with a kink within reach or too large a step, evaluated at every epsilon a_j of the samples concerned.

    In pieces of some samples and columns, whatever the number of threads: the same bits each time.
    """
    a = block.inputs[layer]
    size = a.shape[1]
    concerned = found.kinds >= NEAR_KINK
    units = [int(unit) for unit in found.units if concerned[:, unit].any()]
    results = {u: Literal(np.zeros(size), np.zeros(size), np.zeros(size, np.bool_)) for u in units}
    operations = block.operations(layer)
    columns = min(size, max(1, int(LITERAL_OPERATIONS / operations)))
    samples = max(1, int(LITERAL_OPERATIONS / (operations * size)))

    pool: list[Buffers] = []

    def work(piece: tuple[int, int, int]) -> None:
        unit, sample, column = piece
        result, part = results[unit], slice(column, column + columns)
        chosen = sample + np.flatnonzero(concerned[sample : sample + samples, unit])
        totals = unit_responses.Totals(result.odd[part], result.even[part], result.kinked[part])
        own = pool.pop() if pool else buffers(block.arrays, min(unit_responses.LITERAL_COLUMNS, size))
        unit_responses.respond_literally(block.arrays, layer, unit, chosen, a[:, part], block.epsilon, own, totals)
        pool.append(own)

    for sample in range(0, block.m, samples):
        pieces = [
            (unit, sample, column)
            for unit in units if concerned[sample : sample + samples, unit].any()
            for column in range(0, size, columns)
        ]  # fmt: skip
        run_all(work, pieces, run.threads)
    return results
