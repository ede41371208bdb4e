"""One layer's backward pass as a cost: its outputs weighted by random cotangents and summed."""

import inspect
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFFS
from ..._types import Array
from ..._validation import real_array
from ..gradients import Rounding, RunAgain
from ..parameters.sampling import random_direction
from ..parameters.tree import require_numpy
from .gradient_names import by_name
from .repeats import Repeats
from .upstream import in_time, tried

Values = tuple[NDArray[Any], ...]

# Roundings of its precision, times the largest gradient and the root of the number of terms, that a right backward may
# be off by; a mistake in one precision alone is not rounding.
MOST_ROUNDINGS = 256.0
# What pairs may be whose second is no output: layers that return a cache as well are common.
CACHE = "; where forward returns (output, cache), check_vjp takes cache=True"
# An error that follows the gradient this closely is not rounding; fewer entries than this tell nothing about it.
SYSTEMATIC, ENOUGH = 0.999, 8


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
    for argument, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise TypeError(f"{argument}: expected a function, got {type(function).__name__}")
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    names = input_names(forward, len(given)) if names is None else _names_of(names, len(given))
    require_numpy("inputs", dict(zip(names, given, strict=True)))
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

    nothing: set[str] = set()

    def gradients_at(values: tuple[Any, ...], returned: Any, cotangents: Values) -> dict[str, Any]:
        output = without_cache(returned) if cache else returned
        passed: Any = cotangents if isinstance(output, (tuple, list)) else cotangents[0]
        found = backward(passed, returned[1]) if cache else backward(passed, *copies(values))
        return _gradients(found, names, given, floating, nothing, remedy)

    def anew(values: tuple[Any, ...], cotangents: Values) -> dict[str, Any]:
        # forward again: a backward may use its cache up
        return gradients_at(values, forward(*copies(values)), cotangents)

    several = isinstance(returned, (tuple, list)) and not cache
    with told("backward", remedy + "; it was called with one tuple of gradients, one for each output, before the inputs"
              if several else remedy):
        # copies: a backward may scale the cotangents in place and yet be right
        gradients = gradients_at(given, returned, copies(weights))
    seconds = time.perf_counter() - started
    rounding = None
    if time.perf_counter() + 2.0 * seconds <= deadline:
        rounding = _rounding(lambda values, cotangents: anew(values, copies(cotangents)), given, weights, gradients)
    shown, notes = tried(in_time(lambda handed: anew(given, handed), deadline, seconds), weights, gradients)
    again = None
    if shown is gradients:  # what other upstream gradients brought to light is no rounding
        again = Repeats(lambda values: _vector(anew(values[: len(given)], values[len(given) :])), (*given, *weights),
                        seed, deadline, keeping)
    notes += [f"backward gave None for {name}: it was taken as zeros." for name in names if name in nothing]
    parameters = tuple((names[place], place) for place in floating)
    cost = LayerCost(forward, given, parameters, _in_double(weights), cache, rounding, again)
    found = [gradients] if shown is gradients else [gradients, shown]
    return cost, {names[place]: arrays[place] for place in floating}, found, notes


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


def without_cache(returned: Any) -> Any:
    """Return the output of a forward pass that returns (output, cache).

    Raises
    ------
    TypeError : for anything but a pair.
    """
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        found = f"{type(returned).__name__}" + (f" of {len(returned)}" if isinstance(returned, (tuple, list)) else "")
        raise TypeError(f"forward: expected a pair (output, cache), got {found}; leave out cache=True where forward "
                        "returns its outputs alone")
    return returned[0]


@contextmanager
def told(name: str, remedy: str = "") -> Iterator[None]:
    """Whose exception it is, and what may help."""
    try:
        yield
    except Exception as error:
        said = "" if remedy in str(error) else remedy
        error.add_note(f"fastcheck: raised by {name} at the inputs themselves{said}")
        raise


def called_with(names: Sequence[str]) -> str:
    """Return with what forward was called, to be said after another sentence."""
    listed = f": {', '.join(names)}" if names else ""
    return f"; it was called with {len(names)} input{'s' * (len(names) != 1)}{listed}"


def input_names(forward: Callable[..., Any], count: int) -> list[str]:
    """Return the names of the inputs from forward's signature, else input0, input1, ..."""
    plain = [f"input{place}" for place in range(count)]
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        return plain
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return positional[:count] + plain[len(positional) :]


def takes_one(function: Callable[..., Any]) -> bool:
    """Tell whether a function can be called with one argument, or cannot be called without any."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    for arguments in ((None,), ()):
        with suppress(TypeError):
            signature.bind(*arguments)
            return bool(arguments)
    return True


def _names_of(names: Any, count: int) -> list[str]:
    """Return the names that the caller gave the inputs."""
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"names: expected a list of strings, one for each input, got {names!r}")
    if len(names) != count or len(set(names)) != count:
        raise ValueError(f"names: expected {count} name{'s' * (count != 1)}, one of its own for each input, got "
                         f"{', '.join(names)}")
    return list(names)


def copies(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return copies of the arrays among some values."""
    return tuple(np.array(value) if isinstance(value, np.ndarray) else value for value in values)


def _with_integers(output: Any) -> Any:
    """Return outputs with integers in the place of booleans, which cannot be subtracted."""
    if isinstance(output, (tuple, list)):
        return tuple(map(_with_integers, output))
    is_boolean = isinstance(output, bool) or getattr(output, "dtype", None) == np.bool_
    return 1 * output if is_boolean else output


def outputs_of(value: Any, remedy: str = "") -> Values:
    """Return the outputs of a forward pass as arrays.

    Raises
    ------
    TypeError, ValueError : for anything but numbers, with what may help.
    """
    items = value if isinstance(value, (tuple, list)) else (value,)
    if not len(items):
        raise ValueError("forward: expected an array or a tuple of arrays, got no output")
    return tuple(_output(item, place, remedy) for place, item in enumerate(items))


def _output(item: Any, place: int, remedy: str) -> NDArray[Any]:
    try:
        output = np.asarray(item)
    except ValueError:  # arrays of several shapes
        output = np.empty(0, object)
    if output.dtype.kind in "fiucb":
        return output
    found = f"dtype {output.dtype}" if isinstance(item, np.ndarray) else f"a {type(item).__name__}"
    missing = "; is a return statement missing?" if item is None and (not remedy or remedy == CACHE) else remedy
    raise TypeError(f"forward: expected arrays of numbers, got {'None' if item is None else found} for output {place}"
                    f"{missing}")


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


def _rounding(
    gradients_of: Callable[[tuple[Any, ...], Values], dict[str, Any]], given: tuple[Any, ...], cotangents: Values,
    gradients: dict[str, Any],
) -> Rounding | None:
    """Return how far the same backward in double precision is from what it gave in less: its rounding, as it is.

    None where all is in double precision, where the layer does not run in it, and where it is not the same every time.
    """
    wide, more = _in_double(given), _in_double(cotangents)
    if all(a is b for a, b in zip((*wide, *more), (*given, *cotangents), strict=True)):
        return None
    try:
        with np.errstate(all="ignore"):
            doubles, again = gradients_of(wide, more), gradients_of(given, cotangents)
    except Exception:  # a layer may know one precision alone, and raise what it likes: nothing is known then
        return None
    if not all(np.array_equal(np.asarray(value), np.asarray(again[name]), equal_nan=True)
               for name, value in gradients.items()):
        return None
    dtypes = [value.dtype.name for value in (*given, *cotangents) if isinstance(value, np.ndarray)]
    unit = max(UNIT_ROUNDOFFS.get(dtype, 0.0) for dtype in dtypes)
    terms = sum(math.prod(np.shape(value)[1:]) for value in given if np.ndim(value))
    return rounding_between(gradients, doubles, unit, terms)


def rounding_between(
    gradients: Mapping[str, Any], doubles: Mapping[str, Any], unit: float, terms: int
) -> Rounding | None:
    """Return the rounding of gradients of which the same ones in double precision are known.

    Parameters
    ----------
    gradients, doubles : by name, in less than double precision and in it.
    unit : the unit roundoff of the former.
    terms : how many numbers are summed into an entry, about.

    Returns
    -------
    Rounding, or None where the doubles are not what they should be.
    """
    found: dict[str, tuple[Array, Array]] = {}
    for name, value in gradients.items():
        double, single = np.asarray(doubles[name]), np.asarray(value)
        if double.dtype != np.float64 or double.shape != single.shape or not np.isfinite(double).all():
            return None
        found[name] = single.astype(np.float64).reshape(-1) - double.reshape(-1), double.reshape(-1)
    scale = max(float(np.max(np.abs(double), initial=0.0)) for _, double in found.values())
    most = MOST_ROUNDINGS * unit * math.sqrt(max(terms, 1)) * scale
    errors = {
        name: np.asarray(np.zeros_like(error) if _systematic(error, double) else np.minimum(np.abs(error), most))
        for name, (error, double) in found.items()
    }

    def of_tensor(name: str, unit: float) -> Array:
        return errors[name] / NOISE_SIGMAS

    return of_tensor


def _systematic(error: Array, gradient: Array) -> bool:
    """Tell whether an error follows the gradient, as a factor does and rounding does not."""
    off, size = float(np.linalg.norm(error)), float(np.linalg.norm(gradient))
    return error.size >= ENOUGH and off <= size and abs(float(error @ gradient)) > SYSTEMATIC * off * size


def _in_double(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return the values, floating arrays of less than double precision as float64."""
    low = [isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype.itemsize < 8 for value in values]
    return tuple(value.astype(np.float64) if one else value for value, one in zip(values, low, strict=True))


def _gradients(
    found: Any, names: list[str], given: tuple[Any, ...], floating: list[int], nothing: set[str], remedy: str
) -> dict[str, Any]:
    """What backward returned, by the names of the floating inputs; zeros for None, whose names go to ``nothing``.

    remedy : what may help where it does not fit.
    """
    wanted = [names[place] for place in floating]
    if isinstance(found, Mapping):
        found = tuple(by_name(found, wanted).values())
    if found is None:
        raise ValueError(f"backward: expected a gradient for each of {', '.join(wanted)}, got None; is a return "
                         "statement missing?")
    values = list(found) if isinstance(found, (tuple, list)) else [found]
    if len(values) == len(given):
        values = [values[place] for place in floating]
    if len(values) != len(floating):
        plural = "" if len(values) == 1 else "s"
        raise ValueError(f"backward: expected a gradient for each of {', '.join(wanted)}, "
                         f"got {len(values)} gradient{plural}{remedy}")
    for name, place, value in zip(wanted, floating, values, strict=True) if remedy else ():
        wants, shape = np.shape(given[place]), np.shape(value)
        if value is not None and shape != wants:
            raise ValueError(f"{name} in gradients: expected shape {wants}, got shape {shape}{remedy}")
    nothing.update(name for name, value in zip(wanted, values, strict=True) if value is None)
    return {name: np.zeros(np.shape(given[place])) if value is None else value
            for name, place, value in zip(wanted, floating, values, strict=True)}
