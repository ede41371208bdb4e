"""The mistakes people make in back-propagation: a hand-written one in which each can be planted at a given layer.

A bug is a number, a name, the places where it can occur in a network, and a function that plants it.  ``planted``
yields every bug at every place of a network that really changes the gradient.
"""

import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastcheck.problems.networks.problem import Problem
from fastcheck.rules.activations import ACTIVATIONS

# Written by hand in terms of z and a, as people do; the rest is taken from the table.
BY_HAND: dict[str, Callable[[Any, Any], Any]] = {
    "sigmoid": lambda z, a: a * (1 - a),
    "tanh": lambda z, a: 1 - a * a,
    "relu": lambda z, a: (z > 0) * 1.0,
    "leaky_relu": lambda z, a: np.where(z > 0, 1.0, 0.01),
}


def slope(name: str, z: Any, a: Any) -> Any:
    return BY_HAND[name](z, a) if name in BY_HAND else ACTIVATIONS[name].derivative(z)


class Backward:
    """Back-propagation, one method per step; layers count from 1.  Bugs replace steps of an instance."""

    rng: np.random.Generator  # set where a bug needs chance

    def __init__(self, problem: Problem, other: Problem | None = None, dtype: Any = np.float64) -> None:
        self.net, self.other = problem.network, other
        self.L, self.m, self.widths = len(self.net.layers), problem.m, self.net.widths
        self.names = [None, *(layer.activation for layer in self.net.layers)]
        self.X, self.Y = problem.X.astype(dtype), problem.Y.astype(dtype)
        tensors = {name: value.astype(dtype) for name, value in problem.parameters.items()}
        self.W = [None, *(tensors[f"W{k}"] for k in range(1, self.L + 1))]
        self.b = [None, *(tensors[f"b{k}"] for k in range(1, self.L + 1))]
        self.decay = dtype(self.net.l2 / self.m)
        self.Z, self.A = [None], [self.X]
        for k in range(1, self.L + 1):
            z = self.W[k] @ self.A[-1] + self.b[k]
            self.Z.append(z)
            self.A.append(ACTIVATIONS[self.names[k]].value(z).astype(dtype))

    def inputs(self, k: int) -> Any:
        return self.A[k - 1]

    def slope(self, k: int) -> Any:
        return slope(self.names[k], self.Z[k], self.A[k]).astype(self.Z[k].dtype)

    def scale(self) -> float:
        return {"mean_squared_error": 2 / (self.m * self.widths[-1])}.get(self.net.cost, 1 / self.m)

    def output(self) -> Any:
        """dZ of the last layer."""
        A, scale = self.A[-1], self.X.dtype.type(self.scale())
        if self.net.cost in ("cross_entropy", "binary_cross_entropy"):
            return (A - self.Y) * scale
        dA = (A - self.Y) * scale
        if self.names[-1] == "softmax":
            return A * (dA - (A * dA).sum(axis=0))
        return dA * self.slope(self.L)

    def back(self, k: int, dZ: Any) -> Any:
        """dA of layer k - 1."""
        return self.W[k].T @ dZ

    def weights(self, k: int, dZ: Any) -> Any:
        return dZ @ self.inputs(k).T

    def biases(self, k: int, dZ: Any) -> Any:
        return dZ.sum(axis=1, keepdims=True)

    def penalty(self, k: int) -> Any:
        return self.decay * self.W[k]

    def finish(self, gradients: dict[str, Any]) -> dict[str, Any]:
        return gradients

    def run(self) -> dict[str, Any]:
        with np.errstate(all="ignore"):
            gradients, dZ = {}, self.output()
            for k in range(self.L, 0, -1):
                gradients[f"W{k}"] = self.weights(k, dZ) + self.penalty(k)
                gradients[f"b{k}"] = self.biases(k, dZ) * 1.0
                if k > 1:
                    dZ = self.back(k, dZ) * self.slope(k - 1)
            return self.finish(gradients)

    def replace(self, step: str, layer: int | None, new: Callable[..., Any]) -> None:
        """Let ``new(old_result, *arguments)`` change the step's result in that layer (None: in all)."""
        old = getattr(self, step)

        def changed(*arguments: Any) -> Any:
            result = old(*arguments)
            return new(result, *arguments) if layer is None or arguments[0] == layer else result

        setattr(self, step, changed)


@dataclass(frozen=True)
class Place:
    """Where a bug sits.

    layer : the layer; kind : the step or tensor it changes, for bugs that have several; first : the tensors of which
    one must be named first; says : words of which the diagnosis of the first must have one (none: not promised).
    """

    layer: int
    kind: str
    first: tuple[str, ...]
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bug:
    number: int
    name: str
    places: Callable[[Backward], Iterator[Place]]
    plant: Callable[[Backward, Place], None]
    dtype: Any = np.float64

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


BUGS: list[Bug] = []


def bug(number: int, name: str, places: Callable[[Backward], Iterator[Place]], **options: Any) -> Any:
    def register(plant: Callable[[Backward, Place], None]) -> Callable[[Backward, Place], None]:
        BUGS.append(Bug(number, name, places, plant, **options))
        return plant

    return register


def tensors(*says: str, when: Callable[[Backward], bool] = lambda p: True) -> Callable[[Backward], Iterator[Place]]:
    """Every tensor's own gradient."""

    def places(p: Backward) -> Iterator[Place]:
        for k in range(1, p.L + 1):
            for kind in ("weights", "biases"):
                if when(p):
                    yield Place(k, kind, (f"{kind[0].upper() if kind[0] == 'w' else 'b'}{k}",), says)

    return places


def layers(
    when: Callable[[Backward, int], bool], *says: str, kind: str = "", at: int = 0, only: str = "Wb"
) -> Callable[[Backward], Iterator[Place]]:
    """Every layer k with ``when(p, k)``; the wrong tensors named first are those of layer k + at."""

    def places(p: Backward) -> Iterator[Place]:
        for k in range(1, p.L + 1):
            if when(p, k):
                yield Place(k, kind, tuple(f"{letter}{k + at}" for letter in only), says)

    return places


def is_hidden(p: Backward, k: int) -> bool:
    return k < p.L


def has_slope(p: Backward, k: int) -> bool:
    """Layers whose derivative back-propagation uses."""
    return k < p.L or (p.net.cost in ("squared_error", "mean_squared_error") and p.names[k] != "softmax")


def square(p: Backward, k: int) -> bool:
    return p.widths[k] == p.widths[k - 1] and p.widths[k] > 1


def named(*activations: str) -> Callable[[Backward, int], bool]:
    return lambda p, k: has_slope(p, k) and p.names[k] in activations


# --- scale ------------------------------------------------------------------------------------------------------

def scaled(number: int, name: str, factor: Callable[[Backward], float], *says: str, when: Any = lambda p: True) -> None:
    def plant(p: Backward, place: Place) -> None:
        p.replace(place.kind, place.layer, lambda result, k, dZ: result * factor(p))

    bug(number, name, tensors(*says, when=when))(plant)


scaled(1, "wrong sign", lambda p: -1.0, "sign is wrong")
scaled(2, "missing 1/m", lambda p: p.m, "1/m is missing", when=lambda p: p.m > 1)
scaled(3, "1/m applied twice", lambda p: 1 / p.m, "1/m is applied twice", when=lambda p: p.m > 1)
scaled(4, "factor 2", lambda p: 2.0, "is 2.000 times")
scaled(5, "factor 4", lambda p: 4.0, "is 4.000 times")
scaled(6, "factor 1/2", lambda p: 0.5, "is 0.500 times")
scaled(7, "m - 1 for m", lambda p: p.m / (p.m - 1), "instead of m", when=lambda p: p.m > 1)
scaled(8, "divided by m times classes", lambda p: 1 / p.widths[-1], "outputs instead of m",
       when=lambda p: p.widths[-1] > 1)


@bug(9, "one layer 0.1 % too large", layers(lambda p, k: True, "0.1 % too large"))
def _(p, place):
    for step in ("weights", "biases"):
        p.replace(step, place.layer, lambda result, k, dZ: 1.001 * result)


# --- affine -----------------------------------------------------------------------------------------------------

@bug(10, "W not transposed going back", layers(lambda p, k: k > 1 and square(p, k), at=-1))
def _(p, place):
    p.replace("back", place.layer, lambda result, k, dZ: p.W[k] @ dZ)


@bug(11, "dW transposed", layers(square, "is the transpose", only="W"))
def _(p, place):
    p.replace("weights", place.layer, lambda result, k, dZ: result.T)


def other_inputs(p: Backward) -> Iterator[Place]:
    for k in range(1, p.L + 1):
        for kind, source in (("own", k), ("earlier", k - 2)):
            if source >= 0 and p.widths[source] == p.widths[k - 1]:
                yield Place(k, kind, (f"W{k}",))


@bug(12, "a of the wrong layer", other_inputs)
def _(p, place):
    source = place.layer if place.kind == "own" else place.layer - 2
    p.replace("inputs", place.layer, lambda result, k: p.A[source])


@bug(13, "a layer skipped going back", layers(lambda p, k: k > 1 and square(p, k), at=-1))
def _(p, place):
    p.replace("back", place.layer, lambda result, k, dZ: dZ)


def twins(p: Backward) -> Iterator[Place]:
    for k in range(1, p.L + 1):
        for j in range(1, k):
            for letter in "Wb":
                shape = (p.W if letter == "W" else p.b)[k].shape
                if shape == (p.W if letter == "W" else p.b)[j].shape and shape != (1, 1):
                    yield Place(k, f"{letter}{j}", (f"{letter}{k}",), ("are swapped",))


@bug(14, "gradients of two same-shaped layers swapped", twins)
def _(p, place):
    def swap(gradients):
        one, other = place.kind, f"{place.kind[0]}{place.layer}"
        return {**gradients, one: gradients[other], other: gradients[one]}

    p.replace("finish", None, lambda result, gradients: swap(result))


@bug(15, "batch order mismatched", layers(lambda p, k: p.m > 1, only="W"))
def _(p, place):
    order = np.roll(np.arange(p.m), 1)
    p.replace("inputs", place.layer, lambda result, k: result[:, order])


def dropped(p: Backward) -> Iterator[Place]:
    yield Place(p.L, "output", (f"W{p.L}", f"b{p.L}"))
    for k in range(1, p.L + 1):
        yield Place(k, "weights", (f"W{k}",))
        yield Place(k, "biases", (f"b{k}",))


@bug(16, "last sample dropped", dropped)
def _(p, place):
    if place.kind == "output":
        p.replace("output", None, lambda dZ: dZ * (np.arange(p.m) < p.m - 1))
    elif place.kind == "weights":
        p.replace("weights", place.layer, lambda result, k, dZ: dZ[:, :-1] @ p.inputs(k)[:, :-1].T)
    else:
        p.replace("biases", place.layer, lambda result, k, dZ: dZ[:, :-1].sum(axis=1, keepdims=True))


# --- activation -------------------------------------------------------------------------------------------------

def wrong_slope(number: int, name: str, when: Any, new: Callable[[Backward, int], Any]) -> None:
    def plant(p: Backward, place: Place) -> None:
        p.replace("slope", place.layer, lambda result, k: new(p, k))

    bug(number, name, layers(when))(plant)


wrong_slope(17, "mask forgotten", has_slope, lambda p, k: 1.0)
wrong_slope(18, "derivative taken at a instead of z", has_slope,
            lambda p, k: slope(p.names[k], p.A[k], ACTIVATIONS[p.names[k]].value(p.A[k])))
wrong_slope(19, "derivative taken at z instead of a", named("sigmoid", "tanh"),
            lambda p, k: slope(p.names[k], p.Z[k], p.Z[k]))
wrong_slope(20, "derivative taken at the next layer's z",
            lambda p, k: k < p.L and p.widths[k + 1] == p.widths[k],
            lambda p, k: slope(p.names[k], p.Z[k + 1], ACTIVATIONS[p.names[k]].value(p.Z[k + 1])))
wrong_slope(21, "tanh: 1 - a", named("tanh"), lambda p, k: 1 - p.A[k])
wrong_slope(22, "sigmoid: a (1 + a)", named("sigmoid"), lambda p, k: p.A[k] * (1 + p.A[k]))
wrong_slope(23, "leaky slope wrong", named("leaky_relu"), lambda p, k: np.where(p.Z[k] > 0, 1.0, 0.1))
wrong_slope(24, "leaky branches swapped", named("leaky_relu"), lambda p, k: np.where(p.Z[k] > 0, 0.01, 1.0))
wrong_slope(25, "ReLU threshold not 0", named("relu"), lambda p, k: (p.Z[k] > 0.1) * 1.0)


@bug(26, "derivative applied to a linear output",
     layers(lambda p, k: k == p.L and p.names[k] == "identity", kind="sigmoid"))
def _(p, place):
    p.replace("output", None, lambda dZ: dZ * ACTIVATIONS["sigmoid"].derivative(p.Z[-1]))


# --- bias -------------------------------------------------------------------------------------------------------

@bug(27, "bias summed over the wrong axis", layers(lambda p, k: p.widths[k] == p.m > 1, only="b"))
def _(p, place):
    p.replace("biases", place.layer, lambda result, k, dZ: dZ.sum(axis=0)[:, None])


@bug(28, "bias: mean for sum", layers(lambda p, k: p.m > 1, "1/m is applied twice", only="b"))
def _(p, place):
    p.replace("biases", place.layer, lambda result, k, dZ: result / p.m)


@bug(29, "left out (zeros)", tensors("is exactly zero everywhere"))
def _(p, place):
    name = place.first[0]
    p.replace("finish", None, lambda gradients, _: {**gradients, name: np.zeros_like(gradients[name])})


@bug(30, "bias: one value broadcast to all",
     layers(lambda p, k: p.widths[k] > 1, "holds one value", "is exactly zero", only="b"))
def _(p, place):
    p.replace("biases", place.layer, lambda result, k, dZ: np.full_like(result, result.sum()))


@bug(31, "a single bias wrong", layers(lambda p, k: p.widths[k] > 1, "only one entry is wrong", only="b"))
def _(p, place):
    def change(result, k, dZ):
        size = np.where(result == 0.0, np.inf, np.abs(result))
        result[np.argmin(size)] *= 1.5
        return result

    p.replace("biases", place.layer, change)


# --- regularization ---------------------------------------------------------------------------------------------

def penalised(p: Backward, k: int) -> bool:
    return p.net.l2 > 0


@bug(32, "L2 term missing", layers(penalised, "the L2 term is missing", only="W"))
def _(p, place):
    p.replace("penalty", place.layer, lambda result, k: 0.0)


@bug(33, "L2 term: its factor 2", layers(penalised, "it is counted twice", only="W"))
def _(p, place):
    p.replace("penalty", place.layer, lambda result, k: 2 * result)


@bug(34, "L2 term: lambda for lambda / m",
     layers(lambda p, k: penalised(p, k) and p.m > 1, "l2 stands where l2/m should", only="W"))
def _(p, place):
    p.replace("penalty", place.layer, lambda result, k: p.m * result)


@bug(35, "L2 term applied to biases", layers(lambda p, k: penalised(p, k) and p.widths[k] > 1,
                                             "an L2 term that the cost does not have", only="b"))
def _(p, place):
    p.replace("biases", place.layer, lambda result, k, dZ: result + p.decay * p.b[k])


def misplaced(p: Backward) -> Iterator[Place]:
    for k in range(1, p.L + 1):
        for j in range(1, p.L + 1):
            if j != k and penalised(p, k) and p.W[j].shape == p.W[k].shape and p.W[k].size > 1:
                yield Place(k, str(j), (f"W{k}",), (f"is made with W{j}",))


@bug(36, "L2 term of the wrong layer", misplaced)
def _(p, place):
    p.replace("penalty", place.layer, lambda result, k: p.decay * p.W[int(place.kind)])


# --- cost -------------------------------------------------------------------------------------------------------

@bug(37, "softmax: only the diagonal", layers(lambda p, k: k == p.L and p.names[k] == "softmax"))
def _(p, place):
    def diagonal(dZ):
        A, Y, scale = p.A[-1], p.Y, p.scale()
        dA = -Y / A if p.net.cost == "cross_entropy" else A - Y
        return dA * scale * A * (1 - A)

    p.replace("output", None, diagonal)


@bug(38, "cross-entropy gradient used for squared error",
     layers(lambda p, k: k == p.L and "squared" in p.net.cost and p.names[k] in ("sigmoid", "softmax")))
def _(p, place):
    p.replace("output", None, lambda dZ: (p.A[-1] - p.Y) * p.scale())


@bug(39, "extra sigma' with cross-entropy", layers(lambda p, k: k == p.L and "entropy" in p.net.cost))
def _(p, place):
    p.replace("output", None, lambda dZ: dZ * p.A[-1] * (1 - p.A[-1]))


@bug(40, "labels off by one", layers(lambda p, k: k == p.L and p.widths[-1] > 1))
def _(p, place):
    def shifted(dZ):
        kept, p.Y = p.Y, np.roll(p.Y, 1, axis=0)
        try:
            return Backward.output(p)
        finally:
            p.Y = kept

    p.replace("output", None, shifted)


# --- state and number -------------------------------------------------------------------------------------------

def other_batch(p: Backward) -> dict[str, Any]:
    return Backward(p.other).run()


@bug(41, "stale cache: gradients of the last batch", layers(lambda p, k: k == p.L))
def _(p, place):
    p.replace("finish", None, lambda result, gradients: other_batch(p))


@bug(42, "accumulator not zeroed", tensors())
def _(p, place):
    name = place.first[0]
    p.replace("finish", None, lambda result, gradients: {**result, name: result[name] + other_batch(p)[name]})


@bug(43, "in-place overwrite of a", layers(is_hidden, at=1, only="W"))
def _(p, place):
    # dA *= g' written into the cache of a before the next layer's dW has read it
    p.replace("inputs", place.layer + 1, lambda result, k: result * p.slope(k - 1))


def everywhere(p: Backward) -> Iterator[Place]:
    yield Place(p.L, "", tuple(f"{letter}{k}" for letter in "Wb" for k in range(1, p.L + 1)), ("float32",))


@bug(44, "computed in float32", everywhere, dtype=np.float32)
def _(p, place):
    pass


@bug(45, "one entry corrupted by 0.1 %", tensors("only one entry is wrong", "is 1.001 times"))
def _(p, place):
    def corrupt(gradients):
        flat = gradients[place.first[0]].reshape(-1)
        counts = np.flatnonzero(np.abs(flat) > 1e-6 * np.sqrt(np.mean(flat**2)))
        if counts.size:
            flat[p.rng.choice(counts)] *= 1.001
        return gradients

    p.replace("finish", None, lambda result, gradients: corrupt(result))


def not_numbers(p: Backward) -> Iterator[Place]:
    for k in range(1, p.L + 1):
        for name in (f"W{k}", f"b{k}"):
            for value in ("nan", "inf", "-inf"):
                yield Place(k, value, (name,), (f"is {value}",))


@bug(46, "one NaN or Inf", not_numbers)
def _(p, place):
    def corrupt(gradients):
        flat = gradients[place.first[0]].reshape(-1)
        flat[p.rng.integers(flat.size)] = float(place.kind)
        return gradients

    p.replace("finish", None, lambda result, gradients: corrupt(result))


@dataclass(frozen=True)
class Planted:
    """A bug at a place, and the gradients it gives."""

    bug: Bug
    place: Place
    gradients: dict[str, Any] = field(repr=False)


def planted(problem: Problem, other: Problem, seed: int, numbers: Collection[int] | None = None) -> Iterator[Planted]:
    """Every bug (of the given numbers) at every place of the problem's network where it changes the gradient.

    other : the same network on another batch, for stale state.
    """
    fresh = {np.float64: Backward(problem, other, np.float64), np.float32: Backward(problem, other, np.float32)}
    right = fresh[np.float64].run()
    for bug in BUGS:
        if numbers is not None and bug.number not in numbers:
            continue
        rng = np.random.default_rng([seed, bug.number])
        for place in bug.places(fresh[np.float64]):
            backward = copy.copy(fresh[bug.dtype])
            backward.rng = rng
            bug.plant(backward, place)
            wrong = {name: np.asarray(value, dtype=np.float64) for name, value in backward.run().items()}
            if any(changed(right[name], wrong[name]) for name in right):
                yield Planted(bug, place, wrong)


def changed(right: Any, wrong: Any) -> bool:
    """Whether two gradients differ by more than the rounding of either."""
    size = np.sqrt(np.mean(right**2))
    return not bool(np.all(np.abs(right - wrong) <= 1e-12 * size + 1e-9 * np.abs(right)))
