"""What a user calls a check with, read as the engines have it, and the way back."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Array
from ..parameters.layout import Values
from .conventions.arrays import Own, read_gradients, read_parameters
from .conventions.fitting import IN_OUT
from .conventions.structures import is_canonical, like
from .names import GRADIENT
from .network import COLUMNS, ROWS, Network

# NumPy has one object for its own double precision; what has another is read with care.
DOUBLE = np.dtype(np.float64)


@dataclass(frozen=True)
class Reading:
    """A network's parameters, gradients and data as the engines have them.

    Parameters
    ----------
    parameters, gradients : zeros where there are none.
    X, Y : (n_x, m) and (n_L, m).
    own : by the network's names, how the user has the tensors that there are; None where all is as the network has it.
    unchecked : names of the tensors for which no gradient was given.
    notes : what was found out, in sentences.
    """

    parameters: Values
    gradients: Values
    X: Array
    Y: Array
    own: dict[str, Own] | None = None
    unchecked: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def read_at_once(net: Network, parameters: Any, gradients: Any, X: Any, Y: Any) -> Reading | None:
    """Read a call in which everything is as the network has it, in double precision; None for any other.

    Then there is nothing to find out: plain dictionaries by the network's names, NumPy arrays of the right shapes, and
    samples in columns.
    """
    plain = net.layout.plain
    if not (type(parameters) is dict and type(gradients) is dict and net.canonical is net
            and len(parameters) == len(gradients) == len(plain)):
        return None
    if type(X) is not np.ndarray or X.dtype is not DOUBLE or not (
            X.ndim == 2 and X.shape[0] == net.widths[0] and X.shape[1] and X.flags.c_contiguous):
        return None
    at: list[Array] = []
    of: list[Array] = []
    for name, shapes in plain:
        for values, value in ((at, parameters.get(name)), (of, gradients.get(GRADIENT + name))):
            if type(value) is not np.ndarray or value.dtype is not DOUBLE or value.shape not in shapes:
                return None
            values.append(value.reshape(-1))
    try:
        targets = net.targets(Y, X.shape[1])
    except (TypeError, ValueError):  # perhaps not in columns: the careful way tells
        return None
    return Reading(Values(np.concatenate(at), {}), Values(np.concatenate(of), {}), X, targets)


def read_call(net: Network, parameters: Any, gradients: Any, X: Any, Y: Any, threads: int = 1) -> Reading:
    """Read what a user calls a check with, on some threads.

    Raises
    ------
    ValueError, TypeError : for input that does not fit, by name.
    """
    refusals: list[Exception] = []
    X, Y, samples = net.data(X, Y)
    notes: tuple[str, ...] = ()
    if samples == ROWS and net.samples is None:
        notes = ("Samples were read in rows, as the shapes tell.",)
    if net.weights != IN_OUT:
        try:
            at = net.layout.parameters(parameters, threads=threads)
            return Reading(at, net.layout.gradients(gradients, threads=threads), X, Y, notes=notes)
        except (TypeError, ValueError) as error:
            refusals.append(error)
    try:
        read = read_parameters(parameters, net.widths, net.weights, row_biases=samples != COLUMNS)
    except (TypeError, ValueError):
        if refusals and is_canonical(parameters):
            raise refusals[0] from None  # it names what the network's own names and shapes are
        raise
    found = read_gradients(gradients, read)
    if read.weights == IN_OUT and net.weights is None:
        notes += ("Weights were read as (inputs, outputs), as the shapes tell.",)
    return Reading(
        net.layout.parameters(net.completed(read.tensors)), net.layout.gradients(net.completed(found)), X, Y, read.own,
        frozenset(tensor.name for tensor in net.tensors if tensor.name not in found), (*notes, *_names(read.own)),
    )


def _names(own: dict[str, Own]) -> list[str]:
    """Tell which names the report has for the user's, where they are not alike."""
    if all(like(one.called, name) for name, one in own.items()):
        return []
    return [f"Names: {', '.join(f'{name} is {one.called}' for name, one in own.items())}."]
