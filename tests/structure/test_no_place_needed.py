"""Where would you put a new layer, array library, framework?  A layer nowhere; the others in one door of their own."""

from types import SimpleNamespace

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.program.problem import ProgramProblem
from fastcheck.problems.parameters.tensor import Tensor
from fastcheck.rules.branches import Branches
from fastcheck.rules.table import RULES

# --- a layer: whatever NumPy computes is differenced exactly, with nothing written for it --------------------------

def gated_shift(W, g, x):
    """A layer that nobody has heard of: rows of W x, each rolled by its place and gated by a softsign of g."""
    z = np.stack([np.roll(W[k] @ x, k) for k in range(len(W))])
    return z * (g / (1.0 + np.abs(g)))[:, None]


def gated_shift_backward(d, W, g, x):
    gate = g / (1.0 + np.abs(g))
    z = np.stack([np.roll(W[k] @ x, k) for k in range(len(W))])
    dz = [np.roll(d[k] * gate[k], -k) for k in range(len(W))]
    dW = np.stack([row @ x.T for row in dz])
    return dW, (d * z).sum(axis=1) / (1.0 + np.abs(g)) ** 2, sum(np.outer(W[k], dz[k]) for k in range(len(W)))


def test_a_layer_needs_no_place():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((3, 4)), rng.standard_normal(3), rng.standard_normal((4, 5))
    report = fc.check_vjp(gated_shift, gated_shift_backward, inputs, engine="program")
    assert report.ok, str(report)
    assert report.difference < 1e-13

    def not_rolled_back(d, W, g, x):
        _, dg, dx = gated_shift_backward(d, W, g, x)
        return np.stack([(d[k] * g[k] / (1.0 + abs(g[k]))) @ x.T for k in range(len(W))]), dg, dx

    wrong = fc.check_vjp(gated_shift, not_rolled_back, inputs, engine="program")
    assert [tensor.name for tensor in wrong.failures] == ["W"]


# --- an array library and a framework: a front end, and a door, of some lines each ---------------------------------

class ToyArray:
    """An array of a library of its own, with reverse-mode derivatives, which records what is done to it."""

    def __init__(self, value, tape, made_by=None):
        self.value, self.tape, self.made_by, self.place = np.asarray(value, float), tape, made_by, len(tape)
        tape.append(self)

    def _made(self, name, value, *operands):
        return ToyArray(value, self.tape, (name, operands))

    def __mul__(self, other):
        return self._made("multiply", self.value * other.value, self, other)

    def __add__(self, other):
        return self._made("add", self.value + other.value, self, other)

    def tanh(self):
        return self._made("tanh", np.tanh(self.value), self)

    def abs(self):
        return self._made("absolute", np.abs(self.value), self)


def gradients_of(tape, count):
    """The library's own backward pass, from the sum of its last array; of the first ``count`` arrays."""
    found = [np.zeros_like(array.value) for array in tape]
    found[-1] = np.ones_like(tape[-1].value)
    for array in reversed(tape):
        name, operands = array.made_by or ("", ())
        d = found[array.place]
        slopes = {"multiply": lambda a, b: (b.value, a.value), "add": lambda a, b: (1.0, 1.0),
                  "tanh": lambda a: (1.0 - np.tanh(a.value) ** 2,), "absolute": lambda a: (np.sign(a.value),)}
        for operand, slope in zip(operands, slopes[name](*operands) if name else (), strict=True):
            found[operand.place] = found[operand.place] + d * slope
    return found[:count]


class ToyProgram:
    """The front end: what the library recorded, differenced by the rules that are there."""

    def __init__(self, function, values):
        self.tape = []
        self.inputs = [ToyArray(value, self.tape) for value in values]
        self.outputs = (function(*self.inputs).value,)

    def rounded(self, changes, roundings):
        return self.run(changes, roundings=roundings)

    def column_numbers(self):
        return sum(array.value.size for array in self.tape)

    def run(self, changes, sites=None, convention=None, roundings=None):
        batch = len(next(iter(changes.values())))
        branches = Branches(np, (batch,), convention)
        found = [changes.get(place) for place in range(len(self.inputs))]
        for array in self.tape[len(self.inputs) :]:
            name, operands = array.made_by
            moved = tuple(found[operand.place] for operand in operands)
            still = all(change is None for change in moved)
            values = tuple(operand.value for operand in operands)
            change = None if still else RULES[name].change(np, values, moved, array.value, branches)
            if change is not None and roundings is not None:
                draws = roundings.draws(array.place, array.value.shape)[:, roundings.rows]
                change = roundings.off(np, array.value, change, draws)
            found.append(change)
        return SimpleNamespace(changes=(found[-1],), crossed=branches.crossed, ties=branches.ties,
                               met=frozenset(branches.met), lone=branches.lone)


class ToyCost:
    """The door: the sum of what a function of the library returns, as the cost of ``check_function``."""

    def __init__(self, function, values):
        self.function, self.shape = function, np.shape(values[0])
        self.theta = np.concatenate([np.ravel(value) for value in values])
        size = values[0].size
        tensors = tuple(Tensor(name, self.shape, k * size, (k + 1) * size) for k, name in enumerate("ab"))
        program = ToyProgram(function, values)
        self.problem = ProgramProblem(
            lambda given: ToyProgram(function, given), lambda given: ToyProgram(function, given).outputs, program,
            (np.ones(self.shape),), tensors, self.theta, float(program.outputs[0].sum()),
        )

    def as_evaluator(self):
        return self

    def at(self, theta):
        values = np.asarray(theta).reshape(2, *self.shape)
        return float(ToyProgram(self.function, values).outputs[0].sum())

    def costs_at(self, positions, values):
        costs = []
        for place, value in zip(positions, values, strict=True):
            theta = self.theta.copy()
            theta[place] = value
            costs.append(self.at(theta))
        return np.array(costs)


@pytest.mark.parametrize("engine", ["program", "differences"])
def test_an_array_library_is_one_front_end_and_a_framework_one_door(engine):
    def function(a, b):
        return (a * b + a).tanh() * b + (a * a).abs()

    rng = np.random.default_rng(1)
    values = [rng.standard_normal((2, 3)) for _ in range(2)]
    tape = ToyProgram(function, values).tape
    parameters, gradients = (dict(zip("ab", found, strict=True)) for found in (values, gradients_of(tape, 2)))
    report = fc.check_function(ToyCost(function, values), parameters, gradients, engine=engine)
    assert report.ok, str(report)
    assert report.engine == engine
    assert report.difference < (1e-14 if engine == "program" else 1e-9)
    gradients["b"][1, 2] *= 1.001
    wrong = fc.check_function(ToyCost(function, values), parameters, gradients, engine=engine)
    assert [tensor.name for tensor in wrong.failures] == ["b"]
    assert wrong.failures[0].worst == (1, 2)
