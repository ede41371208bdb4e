"""A fully connected layer."""

from dataclasses import dataclass

import numpy as np

from ...._names import Activation
from ...._validation import known
from ....rules.activations import ACTIVATIONS


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

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters: W (outputs, inputs) and b (outputs, 1)."""
        return {"W": (self.outputs, self.inputs), "b": (self.outputs, 1)}

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            width = getattr(self, name)
            if isinstance(width, bool) or not isinstance(width, (int, np.integer)):
                raise TypeError(f"{name}: expected an integer, got {width!r}")
            if width < 1:
                raise ValueError(f"{name}: expected at least 1, got {width}")
        known("activation", self.activation, ACTIVATIONS)
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, (int, float, np.floating)):
            raise TypeError(f"dropout: expected a number in [0, 1), got {self.dropout!r}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout: expected a number in [0, 1), got {self.dropout}")

