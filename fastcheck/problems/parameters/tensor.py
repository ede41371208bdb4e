"""One named parameter array and its place in theta."""

from dataclasses import dataclass

import numpy as np


def index_text(index: tuple[int, ...]) -> str:
    """Return an index as users write it, "[3, 5]"; nothing for a plain number."""
    return f"[{', '.join(str(int(i)) for i in index)}]" if index else ""


@dataclass(frozen=True)
class Tensor:
    """One named parameter array and its place in theta.

    Parameters
    ----------
    name : as users write it: "W1", "layer/W".
    shape : of the array.
    start, stop : its first place in theta, and the first one after it.
    units : the axis along which a layer's units lie, where it is the weights of one.
    """

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int
    units: int = 0

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.stop - self.start

    def index(self, entry: int) -> tuple[int, ...]:
        """Return the index, in the tensor's shape, of its entry number ``entry`` (flat, from 0)."""
        return tuple(int(i) for i in np.unravel_index(entry, self.shape))

    def place(self, position: int) -> str:
        """Name and index of a position of theta: "W1[3, 5]"."""
        return self.name + index_text(self.index(position - self.start))
