"""A function, a kernel or its reference, called forward and backward at one point."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .tensors import Tensors, floating, requires_gradient
from .widened import Widened


@dataclass(frozen=True)
class Answer:
    """What one call gave: outputs, and the gradients of the inputs that require them (None where there is none)."""

    outputs: Tensors
    gradients: tuple[torch.Tensor | None, ...]


def answer(function: Callable[..., Any], inputs: Sequence[Any], upstream: Sequence[torch.Tensor | None]) -> Answer:
    """Call a function and pass gradients back through it.

    Parameters
    ----------
    function : takes the inputs, returns a tensor or a tuple of tensors.
    inputs : tensors and others; those that require gradients get leaves of their own.
    upstream : a gradient for each output, None for an output that nothing uses.
    """
    given = leaves(inputs)
    outputs = outputs_of(function(*given))
    used = [(out, u) for out, u in zip(outputs, upstream, strict=True) if u is not None and out.requires_grad]
    moved = [value for value in given if requires_gradient(value)]
    gradients: Sequence[torch.Tensor | None] = [None] * len(moved)
    if used:
        gradients = torch.autograd.grad([o for o, _ in used], moved, [u for _, u in used], allow_unused=True)
    return Answer(tuple(out.detach() for out in outputs), tuple(gradients))


def truth(function: Callable[..., Any], inputs: Sequence[Any], upstream: Sequence[torch.Tensor | None]) -> Answer:
    """Return the same in double precision, whatever the function casts."""
    with Widened(), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        doubled = [None if u is None else u.double() for u in upstream]
        return answer(function, [wide(value) for value in inputs], doubled)


def wide(value: Any) -> Any:
    """Return a floating tensor in double precision that requires a gradient as before; anything else as it is."""
    if not floating(value) or value.is_complex():
        return value
    return value.detach().double().requires_grad_(value.requires_grad)


def leaves(inputs: Sequence[Any]) -> list[Any]:
    """Return copies of the tensors, cut off from any history, that require gradients as before."""
    return [
        value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, torch.Tensor) else value
        for value in inputs
    ]


def outputs_of(returned: Any) -> Tensors:
    """Return the outputs as a tuple of tensors.

    Raises
    ------
    TypeError : where a function returns anything but tensors.
    """
    outputs = tuple(returned) if isinstance(returned, (tuple, list)) else (returned,)
    for output in outputs:
        if not isinstance(output, torch.Tensor):
            raise TypeError(f"function: expected a tensor or a tuple of tensors, got {type(output).__name__}")
    return outputs


def random_upstream(outputs: Tensors, generator: torch.Generator) -> list[torch.Tensor]:
    """Return a gradient for each output, of mixed signs and of sizes between 0.5 and 1.5."""
    found = []
    for output in outputs:
        drawn = torch.rand(output.shape, generator=generator, dtype=torch.float64) + 0.5
        sides = torch.randint(0, 2, output.shape, generator=generator) * 2 - 1
        found.append((drawn * sides).to(output.dtype).to(output.device))
    return found


@contextlib.contextmanager
def poisoned_memory() -> Iterator[None]:
    """Fill memory that torch.empty hands out with NaN; the settings are put back afterwards."""
    on, warn_only = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    try:
        yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(on, warn_only=warn_only)
