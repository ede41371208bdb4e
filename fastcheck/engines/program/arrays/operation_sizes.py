"""How large the results of a program's operations are at its inputs, and where perturbations lead."""

from typing import Any

import numpy as np

from ....rules.branches import Branches
from ..protocols import OperationSize


class OperationSizes:
    """An observer that notes the sizes of all moving results.

    Attributes
    ----------
    found : one for each of them.
    branches : those of the run, which know the operation that was entered last.
    """

    def __init__(self) -> None:
        self.found: list[OperationSize] = []
        self.branches: Branches | None = None

    def result(self, count: int, value: Any, change: Any) -> Any:
        """Return the change to go on with, of the result of operation number ``count``."""
        name = "" if self.branches is None else self.branches.operation
        if self.branches is not None:
            self.branches.enter("")
        if change is None:
            return change
        size = np.abs(value * 1.0)
        if not size.ndim:  # most of a long program of numbers are these
            self.found.append(OperationSize(name, float(size), np.abs(value + change), abs(float(size) - 1.0), 1))
        elif size.size:
            there = np.abs(value + change).reshape(len(change), -1).max(axis=1)
            nearest = float(np.abs(size - 1.0).min())
            self.found.append(OperationSize(name, float(size.max()), there, nearest, size.size))
        return change
