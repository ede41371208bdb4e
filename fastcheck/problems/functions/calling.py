"""How the forward and the backward pass of a layer are called, and what they hand back."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._validation import no_result

Values = tuple[NDArray[Any], ...]

# What pairs may be whose second is no output: layers that return a cache as well are common.
CACHE = "; where forward returns (output, cache), check_vjp takes cache=True"


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


def called_with(names: Sequence[str]) -> str:
    """Return with what forward was called, to be said after another sentence."""
    listed = f": {', '.join(names)}" if names else ""
    return f"; it was called with {len(names)} input{'s' * (len(names) != 1)}{listed}"


@contextmanager
def told(name: str, remedy: str = "") -> Iterator[None]:
    """Whose exception it is, and what may help."""
    try:
        yield
    except Exception as error:
        said = "" if remedy in str(error) else remedy
        error.add_note(f"fastcheck: raised by {name} at the inputs themselves{said}")
        raise


def copies(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return copies of the arrays among some values."""
    return tuple(np.array(value) if isinstance(value, np.ndarray) else value for value in values)


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
    nothing, _, missing = no_result(item).partition("; ")
    said = f"; {missing}" if missing and (not remedy or remedy == CACHE) else remedy
    raise TypeError(f"forward: expected arrays of numbers, got {nothing or found} for output {place}{said}")


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
