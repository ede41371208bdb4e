"""Activations that a program computes, recognised by their values, and the slopes that people take in their place."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ...._types import Array
from ....rules.activations import ACTIVATIONS
from .contributions import Contributions, Moved

# Values that agree to this are an activation's.
AGREES = 1e-12
# What is left of the gradient where other slopes give it.
LEFT = 1e-7
ELEMENTWISE = ("sigmoid", "tanh", "softplus", "silu", "gelu", "gelu_tanh", "elu", "selu")
# An activation applied at one place: the number of the operation, or 0 for the input, that it is applied to; that of
# its result; and its name.
Applied = tuple[int, int, str]
Slopes = dict[int, tuple[int, Array]]


def with_other_slopes(
    run: Contributions, moved: Mapping[str, Moved], error: Mapping[str, Array], whole: Mapping[str, Array]
) -> dict[str, str]:
    """Sentences without their ends, by tensor, of gradients that another derivative of an activation gives.

    Parameters
    ----------
    run, moved : the program, and what moves with each tensor.
    error, whole : along each tensor's directions, the error of the gradient handed in, and the numerical gradient.
    """
    said: dict[str, str] = {}
    for name, one in moved.items():
        given = whole[name] + error[name]
        for words, slopes in _candidates(one, run.inputs[one.number]):
            found = run.with_slopes(one, slopes)
            if found is not None and np.linalg.norm(found - given) <= LEFT * min(
                float(np.linalg.norm(given)), float(np.linalg.norm(error[name]))
            ):
                said[name] = f"d{name} is what comes out {words}"
                break
    return said


def _candidates(moved: Moved, value: Array) -> Iterator[tuple[str, Slopes]]:
    """Other slopes at one place, and at all places of an activation at once."""
    values = {0: value, **moved.record.values}
    places = list(_applied(values))
    for name in dict.fromkeys(name for _, _, name in places):
        mine = [place for place in places if place[2] == name]
        for words, slope in _alternatives(name):
            every = {after: (before, slope(values[before], values[after])) for before, after, _ in _first(mine)}
            yield f"{words.format(name)}{' everywhere' if len(every) > 1 else ''}", every
            if len(every) > 1:
                for after, one in every.items():
                    where = moved.record.sources[after]
                    yield f"{words.format(name)} at {where}", {after: one}


def _first(places: Sequence[Applied]) -> list[Applied]:
    """One for each result."""
    return list({after: (before, after, name) for before, after, name in reversed(places)}.values())


def _applied(values: Mapping[int, Array]) -> Iterator[Applied]:
    """Pairs of results of which the later is an activation of the earlier."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number in sorted(values):
        if values[number].size > 1 and values[number].dtype.kind == "f":
            alike[values[number].shape].append(number)
    for numbers in alike.values():
        rows = np.stack([values[number].reshape(-1) for number in numbers])
        for before in numbers:
            for name, expected in _values_of(values[before]):
                off = np.abs(rows - expected.reshape(-1)).max(axis=1)
                for row in np.flatnonzero(off <= AGREES * np.abs(expected).max()):
                    if numbers[row] > before:
                        yield before, numbers[row], name


def _values_of(z: Array) -> Iterator[tuple[str, Array]]:
    if z.dtype.kind != "f" or not z.ndim:
        return
    for name in ELEMENTWISE:
        yield name, ACTIVATIONS[name].value(z)
    for axis in {0, z.ndim - 1}:
        if z.shape[axis] > 1:
            e = np.exp(z - z.max(axis=axis, keepdims=True))
            yield "softmax", e / e.sum(axis=axis, keepdims=True)


def _alternatives(name: str) -> Iterator[tuple[str, Callable[[Array, Array], Array]]]:
    """Slopes that people take, by the input z and the output a, and what that makes of the activation that is named."""
    if name == "softmax":
        yield "with p (1 - p), only the diagonal of the Jacobian, for {}'s derivative", lambda z, a: a * (1.0 - a)
        yield "with p, without the sum over the other entries, for {}'s derivative", lambda z, a: a
    else:
        derivative = ACTIVATIONS[name].derivative
        yield "with {}'s derivative taken at the output instead of the input", lambda z, a: derivative(a)
    if name == "sigmoid":
        yield "with z (1 - z), the input in the place of the output, for {}'s derivative", lambda z, a: z * (1.0 - z)
        yield "with 1 - a instead of a (1 - a) for {}'s derivative", lambda z, a: 1.0 - a
        yield "with a (1 + a) instead of a (1 - a) for {}'s derivative", lambda z, a: a * (1.0 + a)
    if name == "tanh":
        yield "with 1 - z^2, the input in the place of the output, for {}'s derivative", lambda z, a: 1.0 - z**2
        yield "with 1 - a instead of 1 - a^2 for {}'s derivative", lambda z, a: 1.0 - a
    yield "without {}'s derivative", lambda z, a: np.ones_like(a)
