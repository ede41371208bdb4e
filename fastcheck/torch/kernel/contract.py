"""What autograd may ask of any custom function, besides right numbers: each entry of CONTRACT is one such clause.

A clause is handed the kernel, its inputs, a random gradient of its outputs and its plain answer, and says in words what
is broken, or "".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..._constants import ROUNDINGS, UNIT_ROUNDOFFS
from ..._errors import in_short
from ...problems.functions.upstream import BESIDE
from ..answers import Answer, answer, leaves, outputs_of, poisoned_memory
from ..tensors import requires_gradient

# What is zero in theory differs by no more than this share of the largest of all gradients.
MOST_BESIDE = 2.0**-15


@dataclass(frozen=True)
class Plain:
    """A kernel with its inputs, a random upstream gradient for each output, and what it answers to them."""

    kernel: Callable[..., Any]
    inputs: Sequence[Any]
    upstream: list[torch.Tensor]
    answered: Answer

    def same(self, other: Answer) -> bool:
        """Tell whether gradients are those of the plain call, to some roundings of their size."""
        return _alike(self.answered.gradients, other.gradients)


def unchanged_inputs(plain: Plain) -> str:
    """Inputs are left as they were, by the forward and the backward pass."""
    given = leaves(plain.inputs)
    before = [value.detach().clone() if isinstance(value, torch.Tensor) else value for value in given]
    outputs = outputs_of(plain.kernel(*given))
    moved = [value for value in given if requires_gradient(value)]
    upstream = [u.clone() for u in plain.upstream]
    torch.autograd.grad(outputs, moved, upstream, allow_unused=True)
    for number, (was, now) in enumerate(zip(before, given, strict=True)):
        if isinstance(now, torch.Tensor) and not torch.equal(torch.nan_to_num(was), torch.nan_to_num(now.detach())):
            return f"it changes its input {number}"
    if any(not torch.equal(was, now) for was, now in zip(plain.upstream, upstream, strict=True)):
        return "its backward pass changes the gradient that it is handed"
    return ""


def the_same_twice(plain: Plain) -> str:
    """Calls with the same inputs give the same bits."""
    for _ in range(2):  # once might be a multiple of the period of what changes
        again = answer(plain.kernel, plain.inputs, plain.upstream)
        for name, first, second in (("outputs", plain.answered.outputs, again.outputs),
                                    ("gradients", plain.answered.gradients, again.gradients)):
            for number, (a, b) in enumerate(zip(first, second, strict=True)):
                if a is not None and b is not None and not torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)):
                    return f"two calls give different {name} ({number}): it is not deterministic"
    return ""


def strided_upstream(plain: Plain) -> str:
    """Gradients of the outputs that are not contiguous mean what they mean."""
    strided = [_strided(u) for u in plain.upstream]
    if all(u.is_contiguous() for u in strided):
        return ""
    try:
        found = answer(plain.kernel, plain.inputs, strided)
    except RuntimeError as error:
        return f"its backward pass raises on gradients that are not contiguous ({in_short(error)}): call .contiguous()"
    return "" if plain.same(found) else (
        "its backward pass reads the gradient's memory as if it were contiguous: call grad_output.contiguous()")


def expanded_upstream(plain: Plain) -> str:
    """The gradient of a sum is one number in the place of all."""
    expanded = [torch.ones((), dtype=u.dtype, device=u.device).expand(u.shape) for u in plain.upstream]
    try:
        found = answer(plain.kernel, plain.inputs, expanded)
    except RuntimeError as error:
        return f"its backward pass raises on an expanded gradient, as .sum() passes one ({in_short(error)})"
    wanted = answer(plain.kernel, plain.inputs, [u.contiguous() for u in expanded])
    same = _alike(wanted.gradients, found.gradients)
    return "" if same else "its backward pass misreads an expanded gradient, as .sum() passes one"


def zero_upstream(plain: Plain) -> str:
    """A gradient of zero passes zeros back."""
    found = answer(plain.kernel, plain.inputs, [torch.zeros_like(u) for u in plain.upstream])
    for number, gradient in enumerate(found.gradients):
        if gradient is not None and bool((gradient != 0).any()):
            return f"a gradient of zero does not pass zeros back to differentiable input {number}"
    return ""


def one_output_alone(plain: Plain) -> str:
    """The outputs may be used by themselves."""
    if len(plain.upstream) < 2:
        return ""
    total: list[torch.Tensor | None] = [None] * len(plain.answered.gradients)
    for number in range(len(plain.upstream)):
        alone = [u if n == number else None for n, u in enumerate(plain.upstream)]
        try:
            found = answer(plain.kernel, plain.inputs, alone)
        except Exception as error:  # whatever a kernel does with a gradient that is None
            return f"its backward pass raises where only output {number} is used ({in_short(error)})"
        total = [b if a is None else a if b is None else a + b for a, b in zip(total, found.gradients, strict=True)]
    return "" if plain.same(Answer((), tuple(total))) else "gradients of its outputs one by one do not add up"


def initialised_memory(plain: Plain) -> str:
    """Nothing is returned that was never written."""
    with poisoned_memory():
        found = answer(plain.kernel, plain.inputs, plain.upstream)
    for name, before, after in (("output", plain.answered.outputs, found.outputs),
                                ("gradient", plain.answered.gradients, found.gradients)):
        for number, (a, b) in enumerate(zip(before, after, strict=True)):
            if a is not None and b is not None and bool((torch.isnan(b) & ~torch.isnan(a)).any()):
                return f"its {name} {number} holds memory that was never written (torch.empty and the like)"
    return ""


CONTRACT: dict[str, Callable[[Plain], str]] = {
    "inputs unchanged": unchanged_inputs,
    "the same twice": the_same_twice,
    "gradients that are not contiguous": strided_upstream,
    "expanded gradients": expanded_upstream,
    "gradients of zero": zero_upstream,
    "one output alone": one_output_alone,
    "memory written": initialised_memory,
}


def _strided(value: torch.Tensor) -> torch.Tensor:
    """Return the same numbers, two apart in memory and with the axes laid out in reverse."""
    if value.ndim == 0:
        return value
    wide = value.new_full((*reversed(value.shape), 2), 7.0)
    return wide[..., 0].permute(*reversed(range(value.ndim))).copy_(value)


def _alike(first: Sequence[torch.Tensor | None], second: Sequence[torch.Tensor | None]) -> bool:
    """Tell whether gradients agree to some roundings of their precision, zero standing for none."""
    beside = max((_largest(a) for a in first if a is not None), default=0.0)
    return all(_close(a, b, beside) for a, b in zip(first, second, strict=True))


def _largest(value: torch.Tensor) -> float:
    return float(torch.nan_to_num(value.double(), posinf=0.0, neginf=0.0).abs().amax()) if value.numel() else 0.0


def rounding_beside(unit: float, beside: float) -> float:
    """Return what rounding leaves of a gradient that is zero in theory, where the largest of all is ``beside``."""
    return min(BESIDE * unit, MOST_BESIDE) * beside


def _close(first: torch.Tensor | None, second: torch.Tensor | None, beside: float) -> bool:
    """Tell that of one of them, where the largest entry of all is ``beside``."""
    if first is None or second is None:
        rest = second if first is None else first
        return rest is None or not bool(rest.any())
    unit = UNIT_ROUNDOFFS.get(str(first.dtype).removeprefix("torch."), UNIT_ROUNDOFFS["float32"])
    a, b = first.double(), second.double()
    same = (a == b) | (torch.isnan(a) & torch.isnan(b))
    allowed = ROUNDINGS * unit * _largest(a) + rounding_beside(unit, beside)
    return bool((same | ((a - b).abs() <= allowed)).all())
