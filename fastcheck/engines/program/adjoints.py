"""What responses of an operation's output are to its operands: of broadcast sums and products, and of convolutions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._types import Array, Indices

# A response of a result, and the other operand -> what it is to the operand.
Adjoint = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class Product:
    """Where an input, or a rearrangement of it, is an operand of an operation that is linear in each of two operands:
    of a product, or of a sum in which it is broadcast.  A sum along axes is one, and a norm, as steep as a sum.

    Parameters
    ----------
    site : the operation's number.
    input : the input's number.
    side : which operand comes from the input, 0 or 1.
    value : the operation's result at the inputs.
    other : the other operand at the inputs; of a sum of two the sign of this one, along axes the slopes of the result.
    contraction : the operation as an einsum string in the operands' order; or the adjoint in this operand.
    owners : for each entry of the operand, its flat position in the input, or -1 where it does not come from it.
    weights : what the input's entries were multiplied by before; one where they were not.
    other_moves : whether the other operand moves when that input does.
    """

    site: int
    input: int
    side: int
    value: Array
    other: Any
    contraction: str | Adjoint
    owners: Indices
    weights: Array | float = 1.0
    other_moves: bool = False


def summed_to(values: Array, shape: tuple[int, ...]) -> Array:
    """Return sums over the axes along which something of that shape was broadcast."""
    lead = values.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(lead + k for k, n in enumerate(shape) if n == 1 and values.shape[lead + k] > 1)
    return values.sum(axis=axes).reshape(shape) if axes else values


@dataclass(frozen=True)
class Kernel:
    """How a convolution slides, with one number for each of its axes behind samples and channels.

    sizes : of the kernel; stride, padding (in front), dilation : of its offsets; groups : of channels.
    """

    sizes: tuple[int, ...]
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int

    def response(self, still: Array, slid: Array) -> Array:
        """Return (O, I, *sizes): sums over samples and places of ``still`` times what the kernel meets there.

        Parameters
        ----------
        still : (N, O, *places), the output's response.
        slid : (N, I * groups, *lengths), the input.
        """
        windows = self.windows(slid, still.shape[2:])
        windows = windows.reshape(windows.shape[0], self.groups, -1, *windows.shape[2:])
        still = still.reshape(still.shape[0], self.groups, -1, *still.shape[2:])
        places, inner = "pqr"[: len(self.sizes)], "uvw"[: len(self.sizes)]
        order = f"ngo{places},ngc{places}{inner}->goc{inner}"
        found = np.einsum(order, still, windows, optimize=True)
        joined: Array = found.reshape(-1, *found.shape[2:])
        return joined

    def windows(self, x: Array, outputs: Sequence[int]) -> NDArray[Any]:
        """(N, C, *outputs, *sizes): what each kernel entry meets at each place."""
        count = len(self.sizes)
        pads = [(0, 0), (0, 0)]
        for k in range(count):
            reach = (outputs[k] - 1) * self.stride[k] + (self.sizes[k] - 1) * self.dilation[k] + 1
            pads.append((self.padding[k], max(0, reach - self.padding[k] - x.shape[2 + k])))
        padded = np.pad(x, pads)
        strides = padded.strides
        shape = (*x.shape[:2], *outputs, *self.sizes)
        steps = (*strides[:2], *(strides[2 + k] * self.stride[k] for k in range(count)),
                 *(strides[2 + k] * self.dilation[k] for k in range(count)))
        return np.lib.stride_tricks.as_strided(padded, shape, steps, writeable=False)
