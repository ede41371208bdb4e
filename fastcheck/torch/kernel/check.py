"""``check_kernel``: a custom function in its own precision, forward and backward, and the contract with autograd."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..._constants import ENTRY_ROUNDINGS, ROUNDINGS, UNIT_ROUNDOFFS
from ..._errors import in_short
from ..._types import Array
from ..._validation import kind_of
from ...verdict.outcome import FAIL, INCONCLUSIVE, PASS, Judged, Verdict
from ...verdict.spread import Spread, spread_of
from ...verdict.yardstick import MARGIN, in_words, times_as_rough
from ..answers import Answer, answer, outputs_of, random_upstream, truth, wide
from ..gradients import gradcheck
from ..measured import RUNS, jiggled
from ..tensors import as_tuple, floating, requires_gradient
from .contract import CONTRACT, Plain, rounding_beside

# Inputs this many times as large must not overflow where the reference does not.
LARGE = 64.0
# What is smaller than this share of the largest output or gradient, in double precision, is zero in theory.
NOTHING = 1e-10


@dataclass(frozen=True)
class KernelReport(Judged):
    """What ``check_kernel`` found.

    Attributes
    ----------
    verdict : "pass", "fail" or "inconclusive".
    failures : what is wrong, one sentence each; notes : what else is worth knowing.
    power : for each output and gradient the relative error that would have been seen with probability 0.999.
    """

    verdict: Verdict
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    power: dict[str, float]

    def __str__(self) -> str:
        lines = [self.verdict.upper(), *(f"  {sentence}." for sentence in self.failures)]
        if self.power:
            lines.append("Seen with probability 0.999: an error of "
                         + ", ".join(f"{100 * share:.2g} % of {name}" for name, share in self.power.items()) + ".")
        return "\n".join([*lines, *self.notes])


def check_kernel(
    function: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Any,
    *,
    more_inputs: Sequence[Sequence[Any]] = (),
    contract: bool = True,
    seed: int = 0,
) -> KernelReport:
    """Check a custom function that exists in low precision against a reference forward pass in plain PyTorch.

    The reference runs in double precision, forward and by autograd, and is proven there by exact differences: it is the
    truth.  Kernel and reference then run in the inputs' own precision at 32 points that differ by about one rounding,
    and the spread of the rounding around the truth is measured.  An error fails where that spread does not explain it,
    and the reference in the same precision is not nearly as far off (less than a third: see
    ``fastcheck.verdict.yardstick``).  Below single precision a kernel that rounds more than three times as much as the
    reference, though to all sides, is ``inconclusive``: so do sums that are kept in low precision.

    Parameters
    ----------
    function : the kernel: takes the inputs, returns a tensor or a tuple of tensors; differentiable by its own backward.
    reference : the same function written with PyTorch's own operators.
    inputs : tensors in the precision that the kernel is for, and other arguments, or one tensor alone; those that
        require gradients are checked.
    more_inputs : further inputs to hold the kernel against the reference at: odd sizes, large numbers.
    contract : whether to test what autograd may ask besides right numbers: gradients that are not contiguous, expanded
        or zero, outputs used alone, inputs left unchanged, the same answer twice, memory that is written before it is
        returned, empty and odd sizes of the leading axis, large numbers.
    seed : of the points and the gradients of the outputs.

    Raises
    ------
    ValueError : where no input requires a gradient, or the reference has other outputs than the kernel.
    GradcheckError : where the reference itself is wrong.

    Examples
    --------
    >>> x = torch.randn(8, 16).bfloat16().requires_grad_()
    >>> check_kernel(torch.nn.functional.silu, lambda x: x * torch.sigmoid(x), (x,)).verdict
    'pass'
    """
    if not isinstance(inputs, (tuple, list, torch.Tensor)):
        raise TypeError(f"inputs: expected a tuple of tensors, got {kind_of(inputs)}")
    inputs = as_tuple(inputs)
    moving = [number for number, value in enumerate(inputs) if requires_gradient(value)]
    if not moving:
        raise ValueError("inputs: expected a tensor that requires a gradient, got none; call requires_grad_()")
    generator = torch.Generator().manual_seed(seed)
    _require_reference(function, reference, inputs)
    failures: list[str] = []
    power: dict[str, float] = {}
    blind: list[str] = []
    notes: list[str] = []
    for number, given in enumerate((inputs, *more_inputs)):
        found = _at(function, reference, given, generator)
        where = "" if number == 0 else f" at more_inputs[{number - 1}]"
        failures += [f"{name}{'' if one.spread.finding.startswith('[') else ' '}{one.spread.finding}{where}"
                     for name, one in found.items() if one.spread.finding]
        rough = {name: in_words(one.rough, "the reference in the same precision") for name, one in found.items()
                 if one.rough}
        notes += [f"{name} {words}{where}: are its sums in float32?" for name, words in rough.items()]
        if number == 0:
            power = {name: one.spread.power for name, one in found.items() if one.spread.resolved}
            blind = [name for name, one in found.items() if not (one.spread.resolved or one.nothing)]
    if contract:
        failures += _contract(function, reference, inputs, generator)
    notes += [f"{name} is no more than rounding: nothing can be told of it." for name in blind]
    verdict: Verdict = FAIL if failures else INCONCLUSIVE if notes else PASS
    return KernelReport(verdict, tuple(dict.fromkeys(failures)), tuple(notes), power)


def _require_reference(function: Callable[..., Any], reference: Callable[..., Any], inputs: Sequence[Any]) -> None:
    """The reference has the kernel's outputs, and in double precision autograd's gradients of it are exact."""
    ours, theirs = outputs_of(function(*inputs)), outputs_of(reference(*inputs))
    shapes = [[tuple(out.shape) for out in outputs] for outputs in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"reference: expected outputs of shapes {shapes[0]} as the function has, got {shapes[1]}")
    gradcheck(reference, tuple(wide(value) for value in inputs), fast_mode=True, check_undefined_grad=False)


@dataclass(frozen=True)
class _Judged:
    """What the runs say about an output or a gradient.

    rough : how many times as rough as the reference it is; 0.0 where it may be.
    nothing : whether it is zero in theory.
    """

    spread: Spread
    rough: float = 0.0
    nothing: bool = False


def _at(
    function: Callable[..., Any], reference: Callable[..., Any], inputs: Sequence[Any], generator: torch.Generator
) -> dict[str, _Judged]:
    """Return what the runs at one set of inputs say about every output and gradient."""
    runs: dict[str, list[tuple[Array, Array, Array]]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    unit = max(UNIT_ROUNDOFFS.get(str(v.dtype).removeprefix("torch."), 0.0) for v in inputs if floating(v))
    with torch.no_grad():  # one gradient for all runs, so that a mistake repeats itself and rounding does not
        upstream = random_upstream(outputs_of(function(*inputs)), generator)
    for run in range(RUNS):
        given = inputs if run == 0 else [jiggled(value, unit, generator) for value in inputs]
        kernel, eager, true = (
            answer(function, given, upstream), answer(reference, given, upstream), truth(reference, given, upstream)
        )
        for name, a, b, c in _paired(kernel, eager, true):
            runs.setdefault(name, []).append((_flat(a, c), _flat(b, c), _flat(c, c)))
            shapes[name] = tuple(c.shape)
    beside = max((_size(found[0][2]) for found in runs.values()), default=0.0)
    return {name: _judged([np.stack(part) for part in zip(*found, strict=True)], shapes[name], unit, beside)
            for name, found in runs.items()}


def _size(values: Array) -> float:
    return math.sqrt(float(np.mean(values**2))) if values.size and np.isfinite(values).all() else 0.0


def _judged(parts: Sequence[Array], shape: tuple[int, ...], unit: float, beside: float) -> _Judged:
    """Return what the kernel's runs say; ``beside`` is the root mean square of the largest output or gradient."""
    kernel, eager, true = parts
    found = _held(kernel, eager, true, shape, unit, beside)
    nothing = _size(true) <= NOTHING * beside
    if nothing or found.finding or unit <= UNIT_ROUNDOFFS["float32"] or not np.isfinite(parts).all():
        return _Judged(found, nothing=nothing)
    return _Judged(found, times_as_rough(kernel - true, eager - true, true, unit))


def _held(
    kernel: Array, eager: Array, true: Array, shape: tuple[int, ...], unit: float, beside: float
) -> Spread:
    """Return the kernel's runs held against the truth, allowed what the reference in the same precision shows."""
    if not np.isfinite(kernel).all():
        broken = int(np.count_nonzero(~np.isfinite(kernel[0])))
        if np.isfinite(eager).all():
            return Spread(finding=f"is not finite in {broken:,} entries where the reference is")
        return Spread()
    found = spread_of(kernel, true, shape, unit)
    if not found.resolved:
        floor = ENTRY_ROUNDINGS * unit * _size(true)
        if _size(true) <= NOTHING * beside:  # the reference may be exactly zero, by the way it adds up
            floor += max(ROUNDINGS * unit * beside, rounding_beside(unit, beside))
        near = np.abs(kernel - true).mean(axis=0) <= MARGIN * np.abs(eager - true).mean(axis=0) + floor
        return Spread(resolved=False) if near.all() else Spread(finding="is off where the reference is not")
    off, theirs = (float(np.linalg.norm((part - true).mean(axis=0))) for part in (kernel, eager))
    if found.finding and off <= MARGIN * theirs:
        floor = max(found.floor, off / float(np.linalg.norm(true.mean(axis=0))))
        return Spread(found.factor, found.factor_error, floor)
    return found


def _paired(kernel: Answer, eager: Answer, true: Answer) -> list[tuple[str, Any, Any, torch.Tensor]]:
    several = len(true.outputs) > 1
    found: list[tuple[str, Any, Any, torch.Tensor]] = [
        (f"output {number}" if several else "the output", a, b, c)
        for number, (a, b, c) in enumerate(zip(kernel.outputs, eager.outputs, true.outputs, strict=True))
        if c.is_floating_point()
    ]
    for number, (a, b, c) in enumerate(zip(kernel.gradients, eager.gradients, true.gradients, strict=True)):
        if c is not None:
            found.append((f"the gradient of differentiable input {number}", a, b, c))
    return found


def _flat(value: torch.Tensor | None, like: torch.Tensor) -> Array:
    dense = torch.zeros_like(like) if value is None else value
    return np.asarray(dense.detach().double().cpu().numpy()).ravel()


def _contract(
    function: Callable[..., Any], reference: Callable[..., Any], inputs: Sequence[Any], generator: torch.Generator
) -> list[str]:
    """Return the clauses that the kernel breaks, with empty, odd and large inputs beside."""
    upstream = random_upstream(outputs_of(function(*inputs)), generator)
    plain = Plain(function, inputs, upstream, answer(function, inputs, upstream))
    broken = []
    for clause in CONTRACT.values():
        try:
            broken.append(clause(plain))
        except Exception as error:  # a kernel may fail in any way
            broken.append(f"it fails ({in_short(error)}) where this was asked: {clause.__doc__}")
    broken += [_other_size(function, reference, inputs, size, generator) for size in (0, -1)]
    broken.append(_large(function, reference, inputs, generator))
    return [sentence for sentence in broken if sentence]


def _other_size(
    function: Callable[..., Any], reference: Callable[..., Any], inputs: Sequence[Any], size: int,
    generator: torch.Generator,
) -> str:
    """The first tensor's leading axis, and those of its length, empty (0) or one shorter (-1), if the reference can."""
    length = next((len(value) for value in inputs if isinstance(value, torch.Tensor) and value.ndim), 0)
    if length < 2:
        return ""
    cut = [value.detach()[: length + size if size else 0].clone().requires_grad_(value.requires_grad)
           if isinstance(value, torch.Tensor) and value.ndim and len(value) == length else value for value in inputs]
    name = "empty inputs" if size == 0 else f"{length - 1} rows"
    try:
        upstream = random_upstream(outputs_of(reference(*cut)), generator)
        wanted = truth(reference, cut, upstream)
    except Exception:  # the reference is not made for such sizes
        return ""
    try:
        found = answer(function, cut, upstream)
    except Exception as error:  # a kernel may fail in any way
        return f"it fails with {name} ({in_short(error)}), which the reference takes"
    if any(a.shape != b.shape for a, b in zip(found.outputs, wanted.outputs, strict=True)):
        return f"with {name} its outputs have other shapes than the reference's"
    return "" if size == 0 else _grossly(found, wanted, f"with {name} ")


def _large(
    function: Callable[..., Any], reference: Callable[..., Any], inputs: Sequence[Any], generator: torch.Generator
) -> str:
    """Large numbers besides ordinary ones: what is finite by the reference is finite."""
    scaled = [(value.detach() * LARGE).requires_grad_(value.requires_grad) if floating(value) else value
              for value in inputs]
    upstream = random_upstream(outputs_of(reference(*scaled)), generator)
    eager, found = answer(reference, scaled, upstream), answer(function, scaled, upstream)
    for name, a, b, _ in _paired(found, eager, eager):
        if a is not None and b is not None and bool((torch.isfinite(b) & ~torch.isfinite(a)).any()):
            return f"with inputs {LARGE:g} times as large {name} is not finite, where the reference's is"
    return ""


def _grossly(found: Answer, wanted: Answer, where: str) -> str:
    """Answers that are off by more than a tenth of their size: odd sizes are tried once, without a measured spread.

    What is nothing beside the others, zero in theory, is held against these.
    """
    paired = _paired(found, found, wanted)
    beside = max((float(c.norm()) for *_, c in paired), default=0.0)
    for name, a, _, c in paired:
        size = float(c.norm())
        size = beside if size <= NOTHING * beside else size
        if size and not float((_flat_tensor(a, c) - c).norm()) <= 0.1 * size:
            return f"{where}{name} is wrong"
    return ""


def _flat_tensor(value: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(like) if value is None else value.double()
