"""Activations' exact differences for arrays, by the activation's name: the array rules that are twins of kernels."""

from typing import Any

import numpy as np

from .activations import Activation
from .base import Change, Changes, Values
from .exponential import EXPONENTIAL
from .gaussian import GAUSSIAN
from .neural import NEURAL
from .piecewise import PIECEWISE
from .softmax import SOFTMAX


def identity(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """d."""
    return changes[0]


ACTIVATION_CHANGES: dict[str, Change] = {"identity": identity} | {
    rule.kernel: rule.change
    for rules in (EXPONENTIAL, GAUSSIAN, NEURAL, PIECEWISE, SOFTMAX) for rule in rules.values() if rule.kernel
}


def change_of(entry: Activation) -> Change:
    """Return an elementwise activation's array rule; where there is none its kernel, number by number."""
    if entry.name in ACTIVATION_CHANGES:
        return ACTIVATION_CHANGES[entry.name]
    difference = np.vectorize(entry.difference, otypes=[float])
    return lambda xp, values, changes, out, branches, **axes: difference(values[0], changes[0])
