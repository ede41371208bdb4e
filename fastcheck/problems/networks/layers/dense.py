"""A fully connected layer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...._names import ACTIVATION_SYNONYMS, Activation
from ...._types import Array
from ...._validation import kind_of, known
from ....rules.activations import ACTIVATIONS
from .base import Parameter, Values


@dataclass(frozen=True)
class Dense:
    """A fully connected layer: ``a = g(W @ a_previous + b)``.

    Parameters
    ----------
    inputs, outputs : widths; W is (outputs, inputs), b is (outputs, 1).
    activation : name of the activation g (see ``fastcheck.rules.activations.ACTIVATIONS``).
    dropout : probability with which a unit is dropped in training.  It can be described, but a network with dropout
        cannot be checked: its cost is random.

    Raises
    ------
    ValueError, TypeError : for widths that are not positive integers, unknown activations, dropout outside [0, 1).

    Examples
    --------
    >>> Dense(784, 512, "relu")
    Dense(inputs=784, outputs=512, activation='relu', dropout=0.0)
    """

    inputs: int
    outputs: int
    activation: Activation = "identity"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            width = getattr(self, name)
            if isinstance(width, bool) or not isinstance(width, (int, np.integer)):
                raise TypeError(f"{name}: expected an integer, got {width!r}")
            if width < 1:
                raise ValueError(f"{name}: expected at least 1, got {width}")
        meant = known("activation", self.activation, ACTIVATIONS, ACTIVATION_SYNONYMS)
        object.__setattr__(self, "activation", meant)  # frozen: "ReLU" becomes "relu" here and nowhere else
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, (int, float, np.floating)):
            raise TypeError(f"dropout: expected a number in [0, 1), got {self.dropout!r}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout: expected a number in [0, 1), got {self.dropout}")

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """W (outputs, inputs), He-scaled and penalised, and b (outputs, 1), small and not penalised."""
        weights = Parameter("W", (self.outputs, self.inputs), math.sqrt(2.0 / self.inputs), penalised=True)
        return weights, Parameter("b", (self.outputs, 1), 0.1, penalised=False, flat=True)

    def forward(self, values: Values, a: Array) -> Array:
        """W a + b."""
        return np.asarray(values["W"] @ a + values["b"].reshape(-1, 1))

    def backward(self, values: Values, dZ: Array) -> Array:
        """da = W^T dZ."""
        return np.asarray(values["W"].T @ dZ)

    def gradients(self, values: Values, a: Array, dZ: Array) -> dict[str, Array]:
        """dW = dZ a^T, and db is dZ summed over samples."""
        return {"W": dZ @ a.T, "b": dZ.sum(axis=1, keepdims=True)}

    def carried(self, values: Values, da: Array) -> Array:
        """W da: what becomes of changes of the inputs."""
        return np.asarray(values["W"] @ da)

    def difference(self, values: Values, changes: Values, a: Array, da: Array, factor: "Array | float") -> Array:
        """W da + factor (V (a + da) + v), with changes V of W and v of b: nothing cancels."""
        return np.asarray(self.carried(values, da) + self.forward(changes, a + da) * factor)


def checked_chain(layers: Sequence[Dense]) -> tuple[Dense, ...]:
    """Validate a chain of layers: each reads what the one before it gives, and softmax is in the output alone.

    Raises
    ------
    ValueError, TypeError : for anything else, and for an empty chain.
    """
    if isinstance(layers, Dense) or not isinstance(layers, Sequence):
        raise TypeError(f"layers: expected a list of Dense, got {type(layers).__name__}")
    if not layers:
        raise ValueError("layers: expected at least one Dense layer, got an empty list")
    for index, layer in enumerate(layers, 1):
        if not isinstance(layer, Dense):
            raise TypeError(f"layers: expected Dense as layer {index}, got {_instead(layer)}")
        if index > 1 and layers[index - 2].outputs != layer.inputs:
            raise ValueError(
                f"layers: expected layer {index} to take the {layers[index - 2].outputs} outputs of layer {index - 1}, "
                f"got {layer.inputs} inputs"
            )
        if index < len(layers) and not ACTIVATIONS[layer.activation].elementwise:
            raise ValueError(f"layers: expected {layer.activation} in the output layer only, got it in layer {index}")
    return tuple(layers)


def _instead(layer: object) -> str:
    """What stands in the place of a layer, and what to write there."""
    how = ", as in Dense(...)" if isinstance(layer, type) else "; pass Dense(inputs, outputs, activation)"
    return kind_of(layer) + how
