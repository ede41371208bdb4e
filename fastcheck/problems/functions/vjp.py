"""One layer's backward pass as a cost: its outputs weighted by random cotangents and summed."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._types import Array
from ..._validation import kind_of, no_result, real_array
from ..gradients import Rounding, RunAgain
from ..parameters.sampling import random_direction
from ..parameters.tree import require_numpy
from .backward_rounding import in_double, rounding_of
from .calling import CACHE, Values, called_with, copies, input_names, outputs_of, told, without_cache
from .gradient_names import by_name
from .repeats import Repeats
from .upstream import in_time, tried


@dataclass(frozen=True)
class LayerCost:
    """The cost sum(weights * forward(*inputs)).

    Parameters
    ----------
    forward : the layer.
    given : all its inputs.
    floating : names and places among them of those that are parameters of the cost.
    weights : one array for each output: the cotangents.
    cache : whether forward returns its output together with what backward is handed.
    rounding : of backward, where it was run in less than double precision.
    again : runs backward again, rounded otherwise.
    """

    forward: Callable[..., Any]
    given: tuple[Any, ...]
    floating: tuple[tuple[str, int], ...]
    weights: Values
    cache: bool
    rounding: Rounding | None
    again: RunAgain | None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is sent to other processes: rounding is asked for in this one only."""
        return {**self.__dict__, "rounding": None, "again": None}

    @property
    def user_code(self) -> tuple[Any, ...]:
        """What of the user's own is called."""
        return (self.forward,)

    @property
    def named_inputs(self) -> tuple[tuple[str, Any], ...]:
        """The inputs with their names in forward's signature."""
        return tuple(zip(input_names(self.forward, len(self.given)), self.given, strict=True))

    @property
    def still(self) -> tuple[Any, ...]:
        """Copies of the inputs that are no parameters."""
        moving = {place for _, place in self.floating}
        return copies([value for place, value in enumerate(self.given) if place not in moving])

    def outputs(self, parameters: dict[str, Any], *still: Any) -> Any:
        """Return what forward returns, without its cache, for the parameters and the other inputs."""
        moving = {place: parameters[name] for name, place in self.floating}
        others = iter(still)
        values = [moving[place] if place in moving else next(others) for place in range(len(self.given))]
        returned = self.forward(*values)
        return _with_integers(without_cache(returned) if self.cache else returned)

    def __call__(self, parameters: dict[str, Any]) -> float:
        """Return the cost."""
        total = 0.0
        for weight, output in zip(self.weights, outputs_of(self.outputs(parameters, *self.still)), strict=True):
            if output.shape != weight.shape:
                raise ValueError(f"forward: expected outputs of one shape, got one whose shape changed from "
                                 f"{weight.shape} to {output.shape}")
            total += np.vdot(weight, output)
        return total


def vjp_problem(
    forward: Callable[..., Any], backward: Callable[..., Any], inputs: Any, seed: int, *, cache: bool,
    names: Sequence[str] | None, deadline: float, keeping: Callable[[], AbstractContextManager[None]],
) -> tuple[LayerCost, dict[str, Any], list[dict[str, Any]], list[str]]:
    """The cost sum(cotangents * forward(*inputs)), its parameters (the floating inputs), backward's gradients, and
    notes on what it does with other upstream gradients: where that is wrong, gradients that show it come second (see
    ``upstream``).

    Backward passes beside the first one end before the deadline, of ``time.perf_counter``; what they keep from call to
    call is put back by ``keeping``, where they run in another precision.

    Raises
    ------
    TypeError, ValueError : for inputs, outputs and gradients that do not fit, by name.
    """
    given, names = _named(forward, backward, inputs, names)
    arrays = [_input(name, value) for name, value in zip(names, given, strict=True)]
    floating = [place for place, array in enumerate(arrays) if array.dtype.kind == "f"]
    if not sum(arrays[place].size for place in floating):
        raise ValueError("inputs: expected a number of a floating dtype, got none, so nothing can be perturbed")
    started = time.perf_counter()
    with told("forward", called_with(names)):
        returned = forward(*copies(given))
    remedy = CACHE if not cache and isinstance(returned, (tuple, list)) and len(returned) == 2 else ""
    outputs = outputs_of(without_cache(returned) if cache else returned, remedy)
    _require_real(outputs)
    weights = _cotangents(outputs, np.random.default_rng(seed))
    layer = _Layer(forward, backward, given, names, floating, cache, remedy)
    several = isinstance(returned, (tuple, list)) and not cache
    with told("backward", remedy + "; it was called with one tuple of gradients, one for each output, before the inputs"
              if several else remedy):
        # copies: a backward may scale the cotangents in place and yet be right
        gradients = layer.gradients(given, returned, copies(weights))
    seconds = time.perf_counter() - started
    rounding = None
    if time.perf_counter() + 2.0 * seconds <= deadline:
        rounding = rounding_of(lambda values, handed: layer.anew(values, copies(handed)), given, weights, gradients)
    shown, notes = tried(in_time(lambda handed: layer.anew(given, handed), deadline, seconds), weights, gradients)
    again = None
    if shown is gradients:  # what other upstream gradients brought to light is no rounding
        again = Repeats(lambda values: _vector(layer.anew(values[: len(given)], values[len(given) :])),
                        (*given, *weights), seed, deadline, keeping)
    notes += [f"backward gave None for {name}: it was taken as zeros." for name in names if name in layer.nothing]
    parameters = tuple((names[place], place) for place in floating)
    cost = LayerCost(forward, given, parameters, in_double(weights), cache, rounding, again)
    found = [gradients] if shown is gradients else [gradients, shown]
    return cost, {names[place]: arrays[place] for place in floating}, found, notes


def _named(forward: Any, backward: Any, inputs: Any, names: Any) -> tuple[tuple[Any, ...], list[str]]:
    """Return the inputs, and their names; what cannot be a layer and its inputs is refused."""
    for argument, function in (("forward", forward), ("backward", backward)):
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"{argument}: expected a function, got {kind_of(function)}")
    if isinstance(inputs, Mapping):
        raise TypeError("inputs: expected a tuple of arrays, got a dict; pass tuple(inputs.values()), and "
                        "names=list(inputs) to keep its names")
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    names = input_names(forward, len(given)) if names is None else _names_of(names, len(given))
    require_numpy("inputs", dict(zip(names, given, strict=True)))
    return given, names


@dataclass(frozen=True)
class _Layer:
    """A layer, to be run at its inputs and beside them.

    Parameters
    ----------
    forward, backward, cache : as in ``check_vjp``.
    given, names : all inputs and what they are called; floating : the places of those that have gradients.
    remedy : what may help where gradients do not fit.
    nothing : names of the inputs for which backward gave None.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    given: tuple[Any, ...]
    names: list[str]
    floating: list[int]
    cache: bool
    remedy: str
    nothing: set[str] = field(default_factory=set)

    def gradients(self, values: tuple[Any, ...], returned: Any, cotangents: Values) -> dict[str, Any]:
        """Return the gradients, of what forward returned at some inputs."""
        output = without_cache(returned) if self.cache else returned
        passed: Any = cotangents if isinstance(output, (tuple, list)) else cotangents[0]
        found = self.backward(passed, returned[1]) if self.cache else self.backward(passed, *copies(values))
        return self._by_name(found)

    def anew(self, values: tuple[Any, ...], cotangents: Values) -> dict[str, Any]:
        """Return the same with a forward pass before: a backward may use its cache up."""
        return self.gradients(values, self.forward(*copies(values)), cotangents)

    def _by_name(self, found: Any) -> dict[str, Any]:
        """Return what backward returned by the names of the floating inputs, with zeros for None."""
        wanted = [self.names[place] for place in self.floating]
        if isinstance(found, Mapping):
            found = tuple(by_name(found, wanted).values())
        if missing := no_result(found):
            raise ValueError(f"backward: expected a gradient for each of {', '.join(wanted)}, got {missing}")
        values = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(values) == len(self.given):
            values = [values[place] for place in self.floating]
        if len(values) != len(self.floating):
            plural = "" if len(values) == 1 else "s"
            raise ValueError(f"backward: expected a gradient for each of {', '.join(wanted)}, "
                             f"got {len(values)} gradient{plural}{self.remedy}")
        for name, place, value in zip(wanted, self.floating, values, strict=True) if self.remedy else ():
            wants, shape = np.shape(self.given[place]), np.shape(value)
            if value is not None and shape != wants:
                raise ValueError(f"{name} in gradients: expected shape {wants}, got shape {shape}{self.remedy}")
        self.nothing.update(name for name, value in zip(wanted, values, strict=True) if value is None)
        return {name: np.zeros(np.shape(self.given[place])) if value is None else value
                for name, place, value in zip(wanted, self.floating, values, strict=True)}


def _input(name: str, value: Any) -> NDArray[Any]:
    """Return an input as an array.

    Raises
    ------
    TypeError : for anything but real numbers.
    """
    try:
        return real_array(f"{name} in inputs", value)
    except TypeError as error:
        if value is not None and not isinstance(value, (str, bytes, dict)):
            raise
        raise TypeError(f"{error}; what is no array is not passed in inputs, but by forward itself (a lambda, "
                        "functools.partial)") from None


def _vector(gradients: Mapping[str, Any]) -> Array:
    return np.concatenate([np.asarray(value, np.float64).reshape(-1) for value in gradients.values()])


def _names_of(names: Any, count: int) -> list[str]:
    """Return the names that the caller gave the inputs."""
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"names: expected a list of strings, one for each input, got {names!r}")
    if len(names) != count or len(set(names)) != count:
        raise ValueError(f"names: expected {count} name{'s' * (count != 1)}, one of its own for each input, got "
                         f"{', '.join(names)}")
    return list(names)


def _with_integers(output: Any) -> Any:
    """Return outputs with integers in the place of booleans, which cannot be subtracted."""
    if isinstance(output, (tuple, list)):
        return tuple(map(_with_integers, output))
    is_boolean = isinstance(output, bool) or getattr(output, "dtype", None) == np.bool_
    return 1 * output if is_boolean else output


def _require_real(outputs: Values) -> None:
    """Refuse complex outputs.

    Raises
    ------
    TypeError : for the first of them, with what to return instead.
    """
    for place, output in enumerate(outputs):
        if output.dtype.kind == "c":
            raise TypeError(f"forward: expected real numbers, got dtype {output.dtype} for output {place}; return its "
                            "parts y.real and y.imag as two outputs, each with a gradient of its own")


def _cotangents(outputs: Values, generator: np.random.Generator) -> Values:
    """Return random signs and sizes, in each output's precision: ones would hide errors that cancel over the outputs.

    Both signs occur however few numbers there are (a single one is negative): a backward that uses |d| is then wrong.
    """
    found, negative = [], True
    for output in outputs:
        cotangent = np.asarray(random_direction(generator, output.shape))
        if output.size == 1:
            cotangent = np.asarray(np.copysign(cotangent, -1.0 if negative else 1.0))
            negative = not negative
        elif output.size and np.ptp(np.sign(cotangent)) == 0.0:
            cotangent.reshape(-1)[generator.integers(output.size)] *= -1.0
        found.append(cotangent.astype(output.dtype) if output.dtype.kind == "f" else cotangent)
    return tuple(found)
