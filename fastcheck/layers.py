"""One layer's backward pass as a cost: its outputs weighted by random cotangents and summed."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = tuple[NDArray[Any], ...]


def vjp_problem(
    forward: Callable[..., Any], backward: Callable[..., Any], inputs: Any, seed: int
) -> tuple[Callable[[dict[str, Any]], float], dict[str, Any], dict[str, Any]]:
    """The cost sum(cotangents * forward(*inputs)), its parameters (the floating inputs), and backward's gradients.

    Raises
    ------
    TypeError, ValueError : for inputs, outputs and gradients that do not fit, by name.
    """
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    names = input_names(forward, len(given))
    floating = [place for place, value in enumerate(given) if np.asarray(value).dtype.kind == "f"]
    for name, value in zip(names, given, strict=True):
        if np.asarray(value).dtype.kind not in "fiub":
            raise TypeError(f"{name} in inputs: dtype {np.asarray(value).dtype} found, wanted real numbers or integers")
    if not floating:
        raise ValueError("inputs: none has a floating dtype, so nothing can be perturbed")
    outputs = _outputs(forward(*_copies(given)))
    cotangents = _cotangents(outputs, np.random.default_rng(seed))
    many = isinstance(forward(*_copies(given)), (tuple, list))
    found = backward(tuple(cotangents) if many else cotangents[0], *_copies(given))
    gradients = _gradients(found, names, given, floating)

    def cost(parameters: dict[str, Any]) -> float:
        values = list(_copies(given))
        for place in floating:
            values[place] = parameters[names[place]]
        total = 0.0
        for cotangent, output in zip(cotangents, _outputs(forward(*values)), strict=True):
            if output.shape != cotangent.shape:
                raise ValueError(f"forward: an output's shape changed from {cotangent.shape} to {output.shape}")
            total += np.vdot(cotangent, output)
        return total

    return cost, {names[place]: np.asarray(given[place]) for place in floating}, gradients


def input_names(forward: Callable[..., Any], count: int) -> list[str]:
    """Names of the inputs from forward's signature, else input0, input1, ..."""
    plain = [f"input{place}" for place in range(count)]
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        return plain
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return positional[:count] + plain[len(positional) :]


def _copies(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(np.array(value) if isinstance(value, np.ndarray) else value for value in values)


def _outputs(value: Any) -> Values:
    outputs = tuple(np.asarray(item) for item in (value if isinstance(value, (tuple, list)) else (value,)))
    for place, output in enumerate(outputs):
        if output.dtype.kind not in "fiuc":
            raise TypeError(f"forward: output {place} has dtype {output.dtype}, wanted arrays of numbers")
    return outputs


def _cotangents(outputs: Values, generator: np.random.Generator) -> Values:
    """Random signs and sizes: cotangents of ones would hide errors that cancel over the outputs."""
    return tuple(
        generator.choice((-1.0, 1.0), output.shape) * generator.uniform(0.5, 1.5, output.shape) for output in outputs
    )


def _gradients(found: Any, names: list[str], given: tuple[Any, ...], floating: list[int]) -> dict[str, Any]:
    """What backward returned, by the names of the floating inputs."""
    values = list(found) if isinstance(found, (tuple, list)) else [found]
    if len(values) == len(given):
        values = [values[place] for place in floating]
    if len(values) != len(floating):
        wanted = ", ".join(names[place] for place in floating)
        raise ValueError(f"backward returned {len(values)} gradients, wanted {len(floating)}: of {wanted}")
    for place, value in zip(floating, values, strict=True):
        if value is None:
            raise ValueError(f"backward returned None for {names[place]}; wanted an array of its shape "
                             "(zeros if it has no influence)")
    return {names[place]: value for place, value in zip(floating, values, strict=True)}
