"""The textbook's back-propagation step by step, so that one step can be replaced by a mistaken one."""

from dataclasses import dataclass

import numpy as np

from ...._types import Array
from ....rules.activations import ACTIVATIONS, Activation
from ....runtime.cached_property import cached_property
from ..names import name_of
from ..problem import Problem
from ..propagation import Propagation


@dataclass(frozen=True)
class Signal:
    """What back-propagation carries through a layer.

    Parameters
    ----------
    dZ : gradient of its pre-activations, (units, m).
    dA : gradient of its activations, (units, m); None where the cost gives dZ at once.
    behind : the same of the next layer, towards the output; None at the output.
    """

    dZ: Array
    dA: Array | None
    behind: "Signal | None" = None


@dataclass(frozen=True)
class Mistake:
    """A mistaken step and what it makes.

    Parameters
    ----------
    words : what is wrong, to follow "back-propagation ".
    value : dZ (units, m) of a mistake in what a layer receives, or the gradient of one tensor.
    """

    words: str
    value: Array


class Backward:
    """Right steps of back-propagation through a network at one point; layers count from 1.

    Parameters
    ----------
    problem : the network with its parameters and data.
    run : its forward propagation, where that is known.
    """

    def __init__(self, problem: Problem, run: Propagation | None = None) -> None:
        self._run = run
        self.problem, self.network, self.m = problem, problem.network, problem.m
        self.depth = len(self.network.layers)
        self.widths = self.network.widths
        self.decay = self.network.l2 / problem.m

    @cached_property
    def run(self) -> Propagation:
        """Forward propagation."""
        return self.problem.forward() if self._run is None else self._run

    def Z(self, k: int) -> Array:
        """Pre-activations of layer k, (units, m)."""
        return self.run.Z[k - 1]

    def A(self, k: int) -> Array:
        """Activations of layer k, (units, m); X for 0."""
        return self.problem.X if k == 0 else self.run.A[k - 1]

    def W(self, k: int) -> Array:
        """Weights of layer k."""
        return self.problem.parameters[name_of("W", k)]

    def activation(self, k: int) -> Activation:
        """Return the table entry of layer k's activation."""
        return ACTIVATIONS[self.network.layers[k - 1].activation]

    def slope(self, k: int) -> Array:
        """g'(z) of layer k, (units, m)."""
        return np.asarray(self.activation(k).derivative(self.Z(k)))

    @cached_property
    def scale(self) -> float:
        """The factor before the cost's sum over samples."""
        return self.network.cost_entry.scale(self.m, self.widths[-1])

    def output(self) -> Signal:
        """Return what the cost hands to the last layer."""
        cost = self.network.cost_entry
        dA = None
        if not cost.output:
            dA = self.scale * cost.gradient(self.Z(self.depth), self.A(self.depth), self.problem.Y)
        return Signal(self.network.output_gradient(self.run, self.problem.Y), dA)

    def passed_back(self, k: int, behind: Signal) -> Signal:
        """Return what layer k receives from layer k + 1."""
        dA = self.W(k + 1).T @ behind.dZ
        return Signal(dA * self.slope(k), dA, behind)

    def weights(self, k: int, dZ: Array, inputs: Array | None = None) -> Array:
        """dW of layer k, with its penalty."""
        gradient = dZ @ (self.A(k - 1) if inputs is None else inputs).T
        return np.asarray(gradient + self.decay * self.W(k) if self.decay else gradient)

    def biases(self, dZ: Array) -> Array:
        """db of the layer that receives dZ, (units, 1)."""
        return np.asarray(dZ.sum(axis=1, keepdims=True))
