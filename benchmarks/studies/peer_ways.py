"""Ways to check a network's gradient: fastcheck, and other tools as somebody who knows them would use them.

A way is made for one network and then asked, as often as wanted, for the derivatives at some positions of theta, or,
where it only judges, whether a given gradient is right.  Libraries are imported when a way is made.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastcheck as fc
from benchmarks.data.networks import Array, Case
from fastcheck.checks.network import network_problem
from fastcheck.course import textbook_difference

EPSILON = 1e-7
THRESHOLD = 1e-7  # the seed's rule, for ways that give derivatives and no verdict
BATCH_NUMBERS = 1 << 25  # of the perturbed vectors that batched ways hold at a time: 256 MiB


@dataclass(frozen=True)
class Way:
    """One way.

    Parameters
    ----------
    name : as printed.
    derivatives : (positions) -> derivatives; what is timed, unless ``verdict`` alone is given.
    verdict : (gradient, positions) -> what it says of a gradient (n,); None for the seed's rule on derivatives.
    whole : whether it always treats all parameters at once.
    batch : fewest positions on which timing it is fair.
    """

    name: str
    derivatives: Callable[[Any], Any] | None
    verdict: Callable[[Array, Any], str] | None = None
    whole: bool = False
    batch: int = 1

    def says(self, gradient: Array, positions: Any, derivatives: Any) -> str:
        """What it says of a gradient: by its own verdict, else by the seed's rule on its derivatives."""
        if self.verdict is not None:
            return self.verdict(gradient, positions)
        difference = textbook_difference(gradient[positions], np.asarray(derivatives))
        return f"{'wrong' if difference > THRESHOLD else 'right'} ({difference:.0e})"


class NumpyCost:
    """J of theta as the textbook computes it; can be sent to another process."""

    def __init__(self, case: Case) -> None:
        self.net = case.net
        problem, _ = network_problem(case.net, case.parameters, case.gradients, case.X, case.Y)
        self.X, self.Y, self.theta = problem.X, problem.Y, problem.theta

    def __call__(self, theta: Array) -> float:
        A = self.X
        for layer, activation in enumerate(self.net.activation_entries):
            W, b = (theta[t.start : t.stop].reshape(t.shape) for t in self.net.tensors[2 * layer : 2 * layer + 2])
            A = activation.value(W @ A + b)
        return self.net.cost_entry.textbook(A, self.Y)


class PartCost:
    """The cost of some entries of theta, the others fixed."""

    def __init__(self, cost: NumpyCost, positions: Any) -> None:
        self.cost, self.positions = cost, positions

    def __call__(self, part: Array) -> float:
        theta = self.cost.theta.copy()
        theta[self.positions] = part
        return self.cost(theta)


def with_fastcheck(case: Case) -> Iterator[Way]:
    """``fc.check``: all parameters, its own verdict."""

    def check(gradients: Any) -> fc.Report:
        return fc.check(case.net, case.parameters, gradients, case.X, case.Y)

    def verdict(gradient: Array, positions: Any) -> str:
        report = check({f"d{name}": value for name, value in case.net.to_parameters(gradient).items()})
        return f"{'right' if report.ok else 'wrong'} ({report.difference:.0e})"

    yield Way("fastcheck", lambda positions: check(case.gradients).gradapprox[positions], verdict, whole=True)


def with_loop(case: Case) -> Iterator[Way]:
    """The textbook's loop."""
    cost = NumpyCost(case)

    def derivatives(positions: Any) -> Array:
        found = np.empty(len(positions))
        for i, k in enumerate(positions):
            above, below = np.copy(cost.theta), np.copy(cost.theta)
            above[k] += EPSILON
            below[k] -= EPSILON
            found[i] = (cost(above) - cost(below)) / (2.0 * EPSILON)
        return found

    yield Way("textbook loop", derivatives)


def with_scipy(case: Case) -> Iterator[Way]:
    """``approx_derivative`` with three points and SciPy's own step, alone and on all cores."""
    from scipy.optimize._numdiff import approx_derivative

    cost = NumpyCost(case)

    def derivatives(positions: Any, workers: Any = None) -> Any:
        return approx_derivative(PartCost(cost, positions), cost.theta[positions], method="3-point", workers=workers)

    yield Way("SciPy 3-point", derivatives)
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        yield Way(f"SciPy 3-point, workers={cores}", lambda positions: derivatives(positions, pool.map))


def with_numdifftools(case: Case) -> Iterator[Way]:
    """``numdifftools.Gradient`` with its own steps."""
    import numdifftools

    cost = NumpyCost(case)
    yield Way("numdifftools",
              lambda positions: numdifftools.Gradient(PartCost(cost, positions))(cost.theta[positions]))


def with_torch(case: Case) -> Iterator[Way]:
    """``torch.autograd.gradcheck``, slow and fast, of a hand-written backward; and a batched central difference."""
    import torch

    cost = NumpyCost(case)
    X, Y, theta = (torch.tensor(a, dtype=torch.float64) for a in (cost.X, cost.Y, cost.theta))
    names = {"identity": lambda z: z, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
    hidden = [names[layer.activation] for layer in case.net.layers[:-1]]

    def cost_of(vector: Any) -> Any:
        a = X
        for layer, activation in enumerate([*hidden, lambda z: z]):
            W, b = (vector[t.start : t.stop].reshape(t.shape) for t in case.net.tensors[2 * layer : 2 * layer + 2])
            a = activation(W @ a + b)
        if case.net.cost == "cross_entropy":
            return -(Y * torch.log_softmax(a, 0)).sum() / X.shape[1]
        return torch.nn.functional.binary_cross_entropy_with_logits(a, Y, reduction="sum") / X.shape[1]

    def gradcheck(gradient: Array, positions: Any, *, fast: bool) -> str:
        given = torch.tensor(gradient[positions])
        chosen = torch.tensor(positions)

        class HandWritten(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, part: Any) -> Any:
                return cost_of(theta.index_copy(0, chosen, part))

            @staticmethod
            def backward(ctx: Any, upstream: Any) -> Any:
                return upstream * given

        part = theta[chosen].clone().requires_grad_()
        right = torch.autograd.gradcheck(HandWritten.apply, (part,), fast_mode=fast, raise_exception=False)
        return "right" if right else "wrong"

    yield Way("torch gradcheck", None, lambda g, p: gradcheck(g, p, fast=False))
    yield Way("torch gradcheck, fast", None, lambda g, p: gradcheck(g, p, fast=True), whole=True)
    place = torch.arange(theta.numel())
    batch = batch_of(case)
    moved = torch.func.vmap(lambda k, step: cost_of(torch.where(place == k, theta + step, theta)), chunk_size=batch)

    def derivatives(positions: Any) -> Any:
        with torch.no_grad():
            k = torch.tensor(positions)
            step = torch.full((len(k),), EPSILON, dtype=torch.float64)
            return ((moved(k, step) - moved(k, -step)) / (2.0 * EPSILON)).numpy()

    yield Way("torch vmap", derivatives, batch=batch)


def with_jax(case: Case) -> Iterator[Way]:
    """A batched central difference, compiled; 64 bits."""
    import jax
    import jax.numpy as jnp

    cost = NumpyCost(case)
    with jax.enable_x64(True):
        X, Y, theta = jnp.asarray(cost.X), jnp.asarray(cost.Y), jnp.asarray(cost.theta)
        names = {"identity": lambda z: z, "relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}
        hidden = [names[layer.activation] for layer in case.net.layers[:-1]]

        def cost_of(vector: Any) -> Any:
            a = X
            for layer, activation in enumerate([*hidden, lambda z: z]):
                W, b = (vector[t.start : t.stop].reshape(t.shape) for t in case.net.tensors[2 * layer : 2 * layer + 2])
                a = activation(W @ a + b)
            if case.net.cost == "cross_entropy":
                return -(Y * jax.nn.log_softmax(a, axis=0)).sum() / X.shape[1]
            return (jax.nn.softplus(a) - Y * a).sum() / X.shape[1]

        def quotient(k: Any) -> Any:
            return (cost_of(theta.at[k].add(EPSILON)) - cost_of(theta.at[k].add(-EPSILON))) / (2.0 * EPSILON)

        batched, batch = jax.jit(jax.vmap(quotient)), batch_of(case)

        def derivatives(positions: Any) -> Any:
            padded = np.resize(positions, -(-len(positions) // batch) * batch)  # one shape: compiled once
            parts = [np.asarray(batched(part)) for part in padded.reshape(-1, batch)]
            return np.concatenate(parts)[: len(positions)]

        yield Way("jax.jit(vmap)", derivatives, batch=batch)


def batch_of(case: Case) -> int:
    """Perturbed vectors at a time."""
    return max(1, min(case.net.size, 1024, BATCH_NUMBERS // case.net.size))


MAKERS: dict[str, Callable[[Case], Iterator[Way]]] = {
    "fastcheck": with_fastcheck, "loop": with_loop, "scipy": with_scipy, "numdifftools": with_numdifftools,
    "torch": with_torch, "jax": with_jax,
}

