"""Whether a gradient that is wrong would be right if square arrays were read the other way round."""

from collections.abc import Iterator

import numpy as np

from ..._constants import TOLERANCE, UNIT_ROUNDOFFS
from ..._types import Array
from .names import name_of
from .problem import Problem
from .reading import Reading


def agreeing_readings(problem: Problem, gradient: Array, read: Reading) -> list[str]:
    """Sentences on the readings with which plain back-propagation gives the gradient that was handed in.

    Parameters
    ----------
    problem : the network at its parameters, as they were read.
    gradient : (n,) what was handed in, as it was read.
    read : how it was read.

    Notes
    -----
    They are hints, no verdicts: what agrees is compared with back-propagation, not with differences.
    """
    checked = np.ones(gradient.size, bool)
    for tensor in problem.network.tensors:
        checked[tensor.start : tensor.stop] = tensor.name not in read.unchecked
    low = {**read.parameters.precision, **read.gradients.precision}
    tolerance = max([TOLERANCE, *(64.0 * UNIT_ROUNDOFFS.get(dtype, TOLERANCE) for dtype in low.values())])
    plain: Array | None = None
    for other, handed, sentence in _others(problem, gradient):
        if other is problem:  # of whose gradient one tensor after the other is turned
            found = plain = _backpropagated(problem) if plain is None else plain
        else:
            found = _backpropagated(other)
        size = np.linalg.norm(found[checked]) + np.linalg.norm(handed[checked])
        if size and np.linalg.norm((found - handed)[checked]) <= tolerance * size:
            return [sentence]
    return []


def _backpropagated(problem: Problem) -> Array:
    found = problem.network.backpropagated(problem.parameters, problem.X, problem.Y)
    return np.concatenate([found[tensor.name].reshape(-1) for tensor in problem.network.tensors])


def _others(problem: Problem, gradient: Array) -> Iterator[tuple[Problem, Array, str]]:
    """Other readings: what would be checked, the gradient as it would be read, and what to say if they agree."""
    net, square = problem.network, _square(problem)
    for in_rows in _with_data(problem, problem.theta):
        yield in_rows, gradient, 'The gradients agree with samples in rows: fastcheck.Network(..., samples="rows").'
    if len(square) == len(net.layers):
        theta, handed = _turned(problem.theta, problem, square), _turned(gradient, problem, square)
        yield (Problem(net, theta, problem.X, problem.Y), handed,
               'The gradients agree with weights as (inputs, outputs): fastcheck.Network(..., weights="in_out").')
        for in_rows in _with_data(problem, theta):
            yield (in_rows, handed, "The gradients agree with samples in rows and weights as (inputs, outputs): "
                                    'fastcheck.Network(..., samples="rows", weights="in_out").')
    for number in square:
        name = name_of("W", number)
        theta, handed = (_turned(vector, problem, [number]) for vector in (problem.theta, gradient))
        turned_both = Problem(net, theta, problem.X, problem.Y)
        yield turned_both, handed, f"The gradients agree if {name} and d{name} are transposed."
        yield problem, handed, f"The gradients agree if d{name} is transposed."


def _with_data(problem: Problem, theta: Array) -> list[Problem]:
    """The problem with samples in rows where X may be read so: targets as labels or one for each, or in rows too."""
    if problem.X.shape[0] != problem.X.shape[1]:
        return []
    targets = [problem.Y, problem.Y.T.copy()] if problem.Y.shape[0] == problem.Y.shape[1] else [problem.Y]
    return [Problem(problem.network, theta, problem.X.T.copy(), Y) for Y in targets]


def _square(problem: Problem) -> list[int]:
    """Return numbers of the layers whose weights may be read both ways."""
    return [place.number for place in problem.network.places if place.layer.inputs == place.layer.outputs]


def _turned(vector: Array, problem: Problem, numbers: list[int]) -> Array:
    """Return the vector with the weights of some layers transposed."""
    made = vector.copy()
    for number in numbers:
        tensor = problem.network.places[number - 1].tensors["W"]
        made[tensor.start : tensor.stop] = vector[tensor.start : tensor.stop].reshape(tensor.shape).T.reshape(-1)
    return made
