"""Whether arrays are the weights and biases of a chain of layers, in one order of the weights' axes or the other."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from numpy.typing import NDArray

from ...._names import Weights
from ..names import name_of

OUT_IN: Final[Weights] = "out_in"
IN_OUT: Final[Weights] = "in_out"
Shape = tuple[int, ...]


def fits(
    arrays: Mapping[str, NDArray[Any]], order: Weights, widths: tuple[int, ...] | None, row_biases: bool
) -> bool:
    """Tell whether weights in this order chain, to the widths where these are known, and biases belong to them."""
    pairs = {name: _ends(array, order) for name, array in arrays.items() if name[0] == "W"}
    chain = [pairs[name_of("W", number)] for number in range(1, len(pairs) + 1)]
    if None in chain or 0 in [end for pair in chain for end in pair or ()]:
        return False
    ends = [pair for pair in chain if pair is not None]
    if any(before[0] != after[1] for before, after in pairwise(ends)):
        return False
    if widths is not None and (ends[0][1], *(outputs for outputs, _ in ends)) != widths:
        return False
    return all(
        is_bias(array.shape, ends[int(name[1:]) - 1][0], row_biases)
        for name, array in arrays.items() if name[0] == "b"
    )


def _ends(array: NDArray[Any], order: Weights) -> tuple[int, int] | None:
    """Return the outputs and inputs of weights; None for what are none."""
    if array.ndim == 1:
        return 1, array.size
    if array.ndim != 2:
        return None
    return array.shape if order == OUT_IN else array.shape[::-1]


def is_bias(shape: Shape, size: int, rows: bool) -> bool:
    """Tell whether a bias of this many units may have this shape."""
    return shape in ((size,), (size, 1)) or (rows and shape == (1, size)) or (size == 1 and shape == ())


def has_bias_columns(arrays: Mapping[str, NDArray[Any]], widths: tuple[int, ...] | None) -> bool:
    """Whether every matrix is (outputs, 1 + inputs), with the biases in its first column, as in Theta1 and Theta2."""
    if any(name[0] == "b" or array.ndim != 2 or array.shape[1] < 2 for name, array in arrays.items()):
        return False
    return (widths is not None or len(arrays) > 1) and fits(unfolded(arrays), OUT_IN, widths, row_biases=False)


def unfolded(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Weights and biases of matrices that have the biases in their first column."""
    parts = {name: {name: array[:, 1:], f"b{name[1:]}": array[:, 0]} for name, array in arrays.items()}
    return {name: part for both in parts.values() for name, part in both.items()}


def misfit(
    arrays: Mapping[str, NDArray[Any]], named: Mapping[str, tuple[str, Any]], order: Weights,
    widths: tuple[int, ...] | None,
) -> str:
    """Return what the first tensor that does not fit should have been."""
    before: int | None = None
    for number in range(1, sum(name[0] == "W" for name in arrays) + 1):
        name = name_of("W", number)
        if widths is not None and number >= len(widths):
            return f"parameters: expected {len(widths) - 1} layers, got the unknown {named[name][0]}"
        ends = _ends(arrays[name], order)
        inputs: int | str = f"n_{number - 1}" if before is None else before
        if widths is not None:
            inputs = widths[number - 1]
        outputs: int | str = f"n_{number}" if widths is None else widths[number]
        if ends is None or 0 in ends or ends[0] != _known_or(outputs, ends[0]) or ends[1] != _known_or(inputs, ends[1]):
            wanted = f"({outputs}, {inputs})" if order == OUT_IN else f"({inputs}, {outputs})"
            chain = f"; its inputs must be the outputs of W{number - 1}" if widths is None and number > 1 else ""
            return f"{named[name][0]} in parameters: expected shape {wanted}, got shape {arrays[name].shape}{chain}"
        bias = name_of("b", number)
        if arrays[name].ndim == 1 and ends[0] == 1 and bias in arrays and arrays[bias].size != 1:
            return f"{named[name][0]} in parameters: expected shape (n_{number}, {inputs}), got {arrays[name].shape}"
        if bias in arrays and not is_bias(arrays[bias].shape, ends[0], order == IN_OUT):
            return (f"{named[bias][0]} in parameters: expected shape ({ends[0]}, 1) or ({ends[0]},), "
                    f"got shape {arrays[bias].shape}")
        before = ends[0]
    layers = "" if widths is None else f"{len(widths) - 1} layers of {'-'.join(map(str, widths))} units"
    listed = ", ".join(called for called, _ in named.values())
    return f"parameters: expected {layers or 'a chain of layers'}, got {listed}"


def _known_or(wanted: "int | str", found: int) -> int:
    """Return a width that is known, else the one that is found."""
    return wanted if isinstance(wanted, int) else found
