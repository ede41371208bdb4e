"""A program of a few operations whose exact changes are written by hand: what the engine's own tests run."""

from dataclasses import dataclass

import numpy as np

from fastcheck.engines.program.adjoints import Product
from fastcheck.engines.program.protocols import Response
from fastcheck.rules.branches import Convention


@dataclass
class Operation:
    operands: tuple
    change: object  # (values, changes, out, notes, convention) -> change


class StandIn:
    """Inputs, then operations in the order in which they were asked for; ``give`` names the outputs."""

    def __init__(self, *inputs):
        self.inputs = [np.asarray(x, float) for x in inputs]
        self.values, self.operations, self.products = list(self.inputs), [], []
        self.given, self.columns = (), 0
        self.complete = tuple(True for _ in inputs)

    def give(self, *places):
        self.given = places
        self.outputs = tuple(self.values[place] for place in places)
        return self

    def _add(self, operands, value, change):
        self.operations.append(Operation(operands, change))
        self.values.append(value)
        return len(self.values) - 1

    def _incomplete(self, *operands):
        self.complete = tuple(kept and place not in operands for place, kept in enumerate(self.complete))

    def site(self, place):
        return place - len(self.inputs)

    def matmul(self, a, b):
        x, y = self.values[a], self.values[b]

        def change(values, changes, out, notes, convention):
            (x, y), (dx, dy) = values, changes
            first = 0.0 if dx is None else dx @ y
            return first if dy is None else first + (x if dx is None else x + dx) @ dy

        place = self._add((a, b), x @ y, change)
        for side, operand in enumerate((a, b)):
            if operand < len(self.inputs):
                owners = np.arange(self.values[operand].size).reshape(self.values[operand].shape)
                self.products.append(Product(self.site(place), operand, side, x @ y, (y, x)[side], "ij,jk->ik", owners))
        return place

    def add(self, a, b):
        self._incomplete(a, b)

        def change(values, changes, out, notes, convention):
            lifted = [
                np.zeros(1) if c is None else c.reshape(c.shape[:1] + (1,) * (out.ndim - v.ndim) + v.shape)
                for c, v in zip(changes, values, strict=True)
            ]
            return lifted[0] + lifted[1]

        return self._add((a, b), self.values[a] + self.values[b], change)

    def tanh(self, a):
        self._incomplete(a)

        def change(values, changes, out, notes, convention):
            u = np.tanh(changes[0])
            return u / np.cosh(values[0]) ** 2 / (1.0 + out * u)

        return self._add((a,), np.tanh(self.values[a]), change)

    def square(self, a):
        self._incomplete(a)
        return self._add((a,), self.values[a] ** 2, lambda v, c, out, notes, convention: c[0] * (2.0 * v[0] + c[0]))

    def relu(self, a):
        self._incomplete(a)

        def change(values, changes, out, notes, convention):
            (x,), (d,) = values, changes
            notes["crossed"]((x != 0) & ((x > 0) != (x + d > 0)))
            notes["tie"]((x == 0) & (d != 0))
            found = np.where(x > 0, np.maximum(d, -x), np.maximum(x + d, 0.0))
            return found if convention is None else np.where(x == 0, Convention.of(convention).kink * d, found)

        return self._add((a,), np.maximum(self.values[a], 0.0), change)

    def linear(self, a, function):
        """Any linear function that acts on the last axes: (columns, *shape) -> (columns, *out)."""
        self._incomplete(a)
        value = function(self.values[a][None])[0]
        return self._add((a,), value, lambda v, c, out, notes, convention: function(c[0]))

    def run(self, changes, sites=None, convention=None, observe=()):
        given = [*changes.values(), *(sites or {}).values()]
        count = len(given[0])
        assert all(len(one) == count for one in given)
        self.columns += count
        moved = [changes.get(place) for place in range(len(self.inputs))]
        crossed, standing = np.zeros(count, bool), np.zeros(count, int)

        def note(where, flags):
            flags += where.reshape(count, -1).sum(axis=1, dtype=flags.dtype)

        notes = {"crossed": lambda where: note(where, crossed), "tie": lambda where: note(where, standing)}
        for number, operation in enumerate(self.operations):
            parts = [moved[place] for place in operation.operands]
            values = [self.values[place] for place in operation.operands]
            out = self.values[len(self.inputs) + number]
            found = None
            if any(part is not None for part in parts):
                found = operation.change(values, parts, out, notes, convention)
            if sites and number in sites:
                found = sites[number] if found is None else found + sites[number]
            moved.append(found)
        ties = standing > 0
        met = frozenset({("relu", "kink")} if ties.any() else ())
        return Response(tuple(moved[place] for place in self.given), crossed, ties, met, standing == 1)
