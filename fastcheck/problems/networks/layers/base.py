"""What a layer has to tell about itself: its parameters, and how values, derivatives and changes pass through it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ...._types import Array

# A layer's parameters, or their changes, by kind.
Values = Mapping[str, Array]


@dataclass(frozen=True)
class Parameter:
    """One parameter array of a layer.

    Parameters
    ----------
    kind : the letter that its name begins with: "W" of W1.
    shape : of the array.
    scale : standard deviation of its initial values.
    penalised : whether the l2 penalty includes it.
    flat : whether a column (n, 1) may also be given flat, (n,).
    """

    kind: str
    shape: tuple[int, ...]
    scale: float
    penalised: bool
    flat: bool = False


class Layer(Protocol):
    """A layer: an affine map with parameters, and an activation of its outputs.

    Arrays of activations are (units, m), samples in columns.
    """

    @property
    def inputs(self) -> int:
        """Number of units that it reads."""
        ...

    @property
    def outputs(self) -> int:
        """Number of its own units."""
        ...

    @property
    def activation(self) -> str:
        """Name of the activation of its outputs."""
        ...

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its parameters, in the order in which they lie in theta."""
        ...

    def forward(self, values: Values, a: Array) -> Array:
        """Pre-activations (outputs, m) of inputs a (inputs, m)."""
        ...

    def backward(self, values: Values, dZ: Array) -> Array:
        """Gradient of the inputs from that of the pre-activations."""
        ...

    def gradients(self, values: Values, a: Array, dZ: Array) -> dict[str, Array]:
        """Gradients of the parameters, by kind, from that of the pre-activations."""
        ...

    def carried(self, values: Values, da: Array) -> Array:
        """Changes of the pre-activations from those of the inputs, where the parameters stand still."""
        ...

    def difference(self, values: Values, changes: Values, a: Array, da: Array, factor: "Array | float") -> Array:
        """Exact change of the pre-activations where parameters change by ``factor * changes`` and inputs by ``da``.

        Parameters
        ----------
        da : (inputs, m).
        factor : a number, or one for each sample, (m,).
        """
        ...
