"""A user's parameters and gradients under the network's names, in its shapes, and how the user had them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._names import Weights
from ...._validation import meant
from ...parameters.tree import numbers
from ..names import GRADIENT, name_of
from .fitting import IN_OUT, OUT_IN, Shape, fits, has_bias_columns, is_bias, misfit, unfolded
from .names import Group
from .structures import Found, Key, canonical, readings


@dataclass(frozen=True)
class Own:
    """One parameter as its user has it.

    Parameters
    ----------
    called : its name there.
    shape : its shape there.
    transposed : whether that is (inputs, outputs).
    """

    called: str
    shape: Shape
    transposed: bool

    def as_network(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """Return an array of that shape in the network's: weights (outputs, inputs), biases (outputs, 1)."""
        if name[0] == "b":
            return array.reshape(-1, 1)
        return array.reshape(1, -1) if array.ndim < 2 else array.T if self.transposed else array

    def as_user(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return an array in the network's shape in that one."""
        return (array.T if self.transposed else array).reshape(self.shape)


@dataclass(frozen=True)
class ReadParameters:
    """Parameters of a user under the network's names and in its shapes.

    Parameters
    ----------
    tensors : {"W1": (n_1, n_x), "b1": (n_1, 1), ...}, without the biases that are not there.
    own : by the same names, how the user has them.
    weights : the order of the weights' axes there.
    told : whether the shapes allow this order alone.
    groups : by what the user's names of a layer share, its number from 1 on.
    folded : whether the biases are the first column of the weights.
    """

    tensors: dict[str, NDArray[Any]]
    own: dict[str, Own]
    weights: Weights
    told: bool
    groups: dict[Group, int]
    folded: bool

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of inputs, then the units of every layer."""
        matrices = [self.tensors[name_of("W", number)] for number in range(1, len(self.groups) + 1)]
        return (int(matrices[0].shape[1]), *(int(matrix.shape[0]) for matrix in matrices))


def read_parameters(
    structure: Any, widths: tuple[int, ...] | None = None, weights: Weights | None = None, *, row_biases: bool = True,
) -> ReadParameters:
    """Read the parameters of a chain of dense layers, however they are called, nested and laid out.

    Parameters
    ----------
    structure : a dictionary by names, or lists; see ``structures``.
    widths : of the network; None for what the shapes chain to.
    weights : order of the weights' axes; None for what the shapes tell, (outputs, inputs) where they tell nothing.
    row_biases : whether (1, n) is a bias where weights are (outputs, inputs).

    Raises
    ------
    TypeError, ValueError : where that makes no chain, or not the network's.
    """
    refusal = _unreadable(structure, "parameters", "")
    for attempt, found in enumerate(readings(structure)):
        try:
            if found.gradients:
                listed = ", ".join(found.called.values())
                raise ValueError(f"parameters: expected parameters, got the gradients {listed}; they come after them")
            groups = _numbered(found)
            named = {canonical(groups, key): (found.called[key], value) for key, value in found.arrays.items()}
            _refuse_unknown(found.ignored, named, "parameters")
            arrays = {name: numbers(f"{called} in parameters", value) for name, (called, value) in named.items()}
            orders = [order for order in (OUT_IN, IN_OUT) if weights in (None, order)]
            fitting = [o for o in orders if fits(arrays, o, widths, row_biases or o == IN_OUT)
                       and not (found.placed and o == IN_OUT and _has_columns(arrays))]
            folded = not fitting and weights != IN_OUT and _are_thetas(named) and has_bias_columns(arrays, widths)
            if folded:
                arrays, named, fitting = unfolded(arrays), _called_apart(named), [OUT_IN]
            if not fitting:
                raise ValueError(misfit(arrays, named, weights or OUT_IN, widths))
            own = {name: Own(named[name][0], array.shape, name[0] == "W" and array.ndim == 2 and fitting[0] == IN_OUT)
                   for name, array in arrays.items()}
            tensors = {name: own[name].as_network(name, array) for name, array in arrays.items()}
            return ReadParameters(tensors, own, fitting[0], len(fitting) < 2, groups, folded)
        except ValueError as error:
            if attempt == 0:
                refusal = error
    raise refusal


def read_gradients(
    structure: Any, parameters: ReadParameters, *, hint_of_order: bool = True
) -> dict[str, NDArray[Any]]:
    """Read gradients of parameters that were read: all of them, or a part.

    Parameters
    ----------
    structure : as for parameters; names may say that they are gradients, and what back-propagation computes on its
        way (dZ3, dA2) is ignored.
    parameters : what ``read_parameters`` found.
    hint_of_order : whether to look if a list fits in reverse, where it does not as it is.

    Returns
    -------
    By the network's names, in its shapes.

    Raises
    ------
    TypeError, ValueError : naming what is unknown or does not fit, and where nothing is there.
    """
    refusal = _unreadable(structure, "gradients", GRADIENT)
    for attempt, found in enumerate(readings(structure)):
        try:
            return _gradients_as(found, parameters)
        except ValueError as error:
            if attempt == 0:
                refusal = error
    if isinstance(structure, list) and hint_of_order and _fits_in_reverse(structure, parameters):
        refusal = ValueError("gradients: expected them in the order of the layers, got them in reverse; pass "
                             "gradients[::-1]")
    raise refusal


def _fits_in_reverse(structure: list[Any], parameters: ReadParameters) -> bool:
    try:
        return bool(read_gradients(structure[::-1], parameters, hint_of_order=False))
    except (TypeError, ValueError):
        return False


def _has_columns(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a bias is a column, as none is where samples are rows: then what stands there is the next weights."""
    return any(name[0] == "b" and array.ndim == 2 and array.shape[0] > 1 for name, array in arrays.items())


def _unreadable(structure: Any, argument: str, prefix: str) -> Exception:
    """The error for what has no parameters in it at all."""
    wanted = f"{prefix}W1, {prefix}b1, ..."
    if isinstance(structure, Mapping):
        listed = ", ".join(map(str, structure))
        found = f"the unknown {listed}" if listed else f"no weights; {prefix}W1 is missing"
        return ValueError(f"{argument}: expected {wanted}, got {found}")
    hint = "; unpack a vector by net.to_parameters(theta)" if getattr(structure, "ndim", 0) else ""
    kind = type(structure).__name__
    if isinstance(structure, (list, tuple)) and structure:
        kind = f"a {kind} of {type(structure[0]).__name__}"
    return TypeError(f"{argument}: expected a dictionary of arrays ({wanted}) or lists of them, got {kind}{hint}")


def _numbered(found: Found) -> dict[Group, int]:
    """Return the number, from 1 on, of every layer."""
    groups = found.groups()
    if not groups:
        raise ValueError("parameters: expected W1, b1, W2, b2, ..., got no weights")
    numbers = {group: place for place, group in enumerate(groups, 1)}
    listed = ", ".join(found.called.values())
    if found.numbered:
        first = min(1, int(groups[0][0]))
        gap = next((first + place for place, group in enumerate(groups) if group != (first + place,)), None)
        if gap is not None:
            raise ValueError(f"parameters: expected W{first}, b{first}, ..., got {listed}; W{gap} is missing")
    for kind, group in found.arrays:
        if group not in numbers:
            name = found.called[kind, group]
            raise ValueError(f"parameters: expected weights for every bias, got the unknown {name}")
    biases = [group for kind, group in found.arrays if kind == "b"]
    absent = [group for group in groups if biases and group not in biases and ("b", group) not in found.called]
    if found.numbered and absent:
        name, size = name_of("b", int(absent[0][0])), np.shape(found.arrays["W", absent[0]])[:1]
        raise ValueError(f"parameters: expected {name} of shape {(*size, 1)}, got {listed}; {name} is missing (None "
                         "stands for a layer without bias)")
    return numbers


def _refuse_unknown(ignored: Iterable[str], names: Iterable[str], argument: str, prefix: str = "") -> None:
    """Refuse what is neither a parameter nor a known intermediate value: it may be a misspelt parameter."""
    unknown, names = list(ignored), list(names)
    if unknown:
        hint = meant(unknown[0], [f"{prefix}{name}" for name in names])
        raise ValueError(f"{argument}: expected {', '.join(names)}, got the unknown {', '.join(unknown)}{hint}")


def _gradients_as(found: Found, parameters: ReadParameters) -> dict[str, NDArray[Any]]:
    """Return one reading of gradients against the parameters."""
    own = parameters.own
    if parameters.folded:
        found = _gradients_apart(found, parameters)
    names = _names_of_gradients(found, parameters)
    without = next((key for key, name in names.items() if name and name not in own), None)
    if without is not None:
        raise ValueError(f"gradients: expected {', '.join(own)}, got {found.called[without]}, the gradient of "
                         f"{names[without]}, which parameters leave out (None)")
    unknown = [found.called[key] for key, name in names.items() if name not in own]
    _refuse_unknown([*unknown, *found.ignored], own, "gradients", GRADIENT)
    gradients = {}
    for key, name in names.items():
        array = numbers(f"{found.called[key]} in gradients", found.arrays[key])
        wanted, size = own[name].shape, parameters.tensors[name].size
        alike = is_bias(array.shape, size, wanted != (size, 1)) if name[0] == "b" else array.shape == wanted
        if not alike:
            hint = f"; it looks transposed, pass {found.called[key]}.T" if array.shape == wanted[::-1] else ""
            flat = f" or ({size},)" if name[0] == "b" and wanted != (size,) else ""
            raise ValueError(
                f"{found.called[key]} in gradients: expected shape {wanted}{flat} as {own[name].called} has, "
                f"got shape {array.shape}{hint}"
            )
        gradients[name] = own[name].as_network(name, array)
    if not gradients:
        listed = ", ".join(f"{GRADIENT}{name}" for name in own)
        raise ValueError(f"gradients: expected {listed} or some of them, got none; {next(iter(own))} is missing")
    return gradients


def _are_thetas(named: Mapping[str, tuple[str, Any]]) -> bool:
    """Tell whether all are called Theta: by any other name one column too many is a mistake."""
    return all("theta" in called.lower() for called, _ in named.values())


def _called_apart(named: Mapping[str, tuple[str, Any]]) -> dict[str, tuple[str, Any]]:
    """Return what weights and biases are called where both are one matrix."""
    parts = {"W": "[:, 1:]", "b": "[:, 0]"}
    return {f"{kind}{name[1:]}": (f"{called}{part}", value)
            for name, (called, value) in named.items() for kind, part in parts.items()}


def _gradients_apart(found: Found, parameters: ReadParameters) -> Found:
    """Gradients of weights and of biases, where both are one matrix."""
    arrays: dict[Key, Any] = {}
    called: dict[Key, str] = {}
    for (kind, group), value in found.arrays.items():
        name = found.called[kind, group]
        array = numbers(f"{name} in gradients", value)
        number = parameters.groups.get(group)
        if kind != "W" or number is None or array.ndim != 2:
            raise ValueError(f"gradients: expected one matrix for each layer, biases in its first column, got {name}")
        arrays["W", group], arrays["b", group] = array[:, 1:], array[:, 0]
        called["W", group], called["b", group] = f"{name}[:, 1:]", f"{name}[:, 0]"
    return Found(arrays, called, found.ignored, found.numbered)


def _names_of_gradients(found: Found, parameters: ReadParameters) -> dict[Key, str]:
    """The network's names of what gradients are of: by their layers' names, else by their places; "" where unknown."""
    known: dict[Group, int] = {}
    order = list(dict.fromkeys(group for _, group in found.called))
    for group in order:
        without_d = tuple(part[1:] if isinstance(part, str) and part[:1] == "d" else part for part in group)
        number = parameters.groups.get(group, parameters.groups.get(without_d))
        if number is not None:
            known[group] = number
    if len(known) < len(order) == len(parameters.groups):  # lists beside names, or numbers from 0 beside those from 1
        order = sorted(order, key=lambda group: group[0]) if found.numbered else order
        known = {group: place for place, group in enumerate(order, 1)}
    return {(kind, group): name_of(kind, known[group]) if group in known else "" for kind, group in found.arrays}
