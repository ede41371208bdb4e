"""From the engines' layout back to the user's: weights as they had them, without biases that are not there."""

from collections.abc import Mapping, Sequence

import numpy as np

from ...._types import Indices
from ...parameters.tensor import Tensor
from ..names import kind_and_number
from .arrays import Own


def users_layout(tensors: Sequence[Tensor], own: Mapping[str, Own]) -> tuple[list[Tensor], Indices]:
    """Return tensors in the user's shapes, and for each of their entries its position in theta.

    Parameters
    ----------
    tensors : as they were checked; those that are no parameters (rows for directions) stay as they are.
    own : how the user has the parameters; a parameter that is not among them is left out.
    """
    made, orders, start = [], [np.empty(0, np.int64)], 0
    for tensor in tensors:
        positions = np.arange(tensor.start, tensor.stop)
        shape, units = tensor.shape, 0
        if tensor.name in own:
            positions = own[tensor.name].as_user(positions.reshape(shape)).reshape(-1)
            shape, units = own[tensor.name].shape, int(own[tensor.name].transposed)
        elif kind_and_number(tensor.name):
            continue
        made.append(Tensor(tensor.name, shape, start, start + tensor.size, units))
        orders.append(positions)
        start += tensor.size
    return made, np.concatenate(orders)
