"""A PyTorch function at one point: its inputs and outputs as vectors of real numbers, many moved inputs at a time."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.gradcheck import GradcheckError
from torch.func import vmap

from .._types import Array, Indices
from ..checks.jacobian import Part
from ..engines.finite.noise import ROUNDING
from ..problems.parameters.tensor import Tensor
from . import _compat

if TYPE_CHECKING:
    from ..engines.program.problem import ProgramProblem

log = logging.getLogger("fastcheck.torch")

Tensors = tuple[torch.Tensor, ...]
# Bytes that a stack of moved inputs, with what the function makes of it, may take: the processor's cache, about.
STACK_BYTES = 8 << 20
MOST_ROWS = 512
# Relative difference of a stacked function from the function itself that is still rounding, in unit roundoffs.
SAME = 1e4
# How far all entries of an input are moved, relative to themselves and at least, to see whether stacks follow.
MOVE, LEAST_MOVE = 2.0**-5, 1e-6
# An input of this many entries or fewer is moved by one call each: quicker than to find out whether stacks can be made.
FEW = 4
# A function of a unit roundoff larger than this is not stacked: its rounding hides whether stacks give the same.
COARSE = 1e-5
KEPT = "the function keeps this input itself instead of using what it is called with"


def floating(tensor: Any) -> bool:
    """Whether it is a tensor of real or complex numbers."""
    return isinstance(tensor, torch.Tensor) and (tensor.is_floating_point() or tensor.is_complex())


def as_tuple(value: Any) -> tuple[Any, ...]:
    """What a function returned, as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def real_outputs(value: Any) -> Tensors:
    """The floating outputs, complex ones as pairs of real numbers."""
    return tuple(torch.view_as_real(o.resolve_conj()) if o.is_complex() else o.resolve_neg()
                 for o in as_tuple(value) if floating(o))


def vector(tensor: torch.Tensor) -> Array:
    """A tensor as float64 numbers laid end to end; real and imaginary parts next to each other."""
    if tensor.dtype == torch.float64 and tensor.device.type == "cpu" and not tensor.is_neg() and not (
            tensor._is_zerotensor()):
        return tensor.detach().numpy().reshape(-1)
    if tensor._is_zerotensor():
        return np.zeros(tensor.numel() * (2 if tensor.is_complex() else 1))
    plain = tensor.detach().resolve_conj().resolve_neg()
    flat = torch.view_as_real(plain) if plain.is_complex() else plain
    return flat.to("cpu", torch.float64).reshape(-1).numpy()


def unit_of(tensor: torch.Tensor) -> float:
    """Unit roundoff of a tensor's precision."""
    return torch.finfo(tensor.dtype).eps / 2.0


def parts(names: Sequence[str], tensors: Sequence[torch.Tensor]) -> tuple[Part, ...]:
    """Where tensors lie in one vector of real numbers."""
    found, start = [], 0
    for name, tensor in zip(names, tensors, strict=True):
        shape = (*tensor.shape, 2) if tensor.is_complex() else tuple(tensor.shape)
        stop = start + tensor.numel() * (2 if tensor.is_complex() else 1)
        found.append(Part(Tensor(name, shape, start, stop), tensor.is_complex(), max(unit_of(tensor), ROUNDING / 2.0)))
        start = stop
    return tuple(found)


def in_short(error: Exception) -> str:
    """The first sentence of an exception's message."""
    return (str(error).strip("'\"\n ") or repr(error)).splitlines()[0].split(". ")[0]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No advice from vmap about operations that it runs one by one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        yield


@dataclass
class TorchFunction:
    """A function at the point where its inputs are.

    Parameters
    ----------
    call : called with all inputs.
    inputs : tensors and others.
    places : which of them are moved: dense floating tensors.
    names : of those that are moved.
    stacked : the same function in a form that vmap can take, where ``call`` itself is none.

    Attributes
    ----------
    moving, parts, theta : the inputs that are moved, where they lie in one vector, and that vector (n,).
    reasons : why an input is moved in place, one call for each move, by its number among the moved ones.
    returned : all that the function returned when ``value`` called it.
    """

    call: Callable[..., Any]
    inputs: tuple[Any, ...]
    places: tuple[int, ...]
    names: tuple[str, ...]
    stacked: Callable[..., Any] | None = None
    reasons: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moving: Tensors = tuple(self.inputs[place] for place in self.places)
        self.parts = parts(self.names, self.moving)
        self.theta: Array = np.concatenate([np.empty(0), *(vector(t) for t in self.moving)])
        self._plain = tuple(i.detach() if isinstance(i, torch.Tensor) else i for i in self.inputs)
        self._forms: list[tuple[torch.Size, torch.dtype]] = []
        self._value: Array = np.empty(0)
        self._unit = ROUNDING / 2.0
        self._stackable: dict[int, bool] = {}
        self.returned: tuple[Any, ...] = ()

    def value(self) -> Tensors:
        """The real outputs at the point, by a plain call; raises ValueError for sparse ones."""
        with torch.enable_grad():
            self.returned = as_tuple(self.call(*self.inputs))
        _compat.check_outputs(tuple(o for o in self.returned if isinstance(o, torch.Tensor)))
        found = real_outputs(self.returned)
        self._forms = [(o.shape, o.dtype) for o in found]
        self._value = np.concatenate([np.empty(0), *(vector(o) for o in found)])
        self._unit = max((unit_of(t) for t in (*found, *self.moving)), default=ROUNDING / 2.0)
        return found

    def rounded(self, positions: Indices, values: Array) -> Array:
        """Values as the inputs' precision holds them."""
        out = np.array(values, dtype=np.float64)
        for part, tensor in zip(self.parts, self.moving, strict=True):
            here = (positions >= part.tensor.start) & (positions < part.tensor.stop)
            if tensor.dtype not in (torch.float64, torch.complex128) and here.any():
                dtype = tensor.real.dtype if tensor.is_complex() else tensor.dtype
                out[here] = torch.from_numpy(out[here]).to(dtype).to(torch.float64).numpy()
        return out

    def at(self, theta: Array) -> Array:
        """Outputs (M,) with all inputs at another point."""
        with self._restored(range(len(self.parts))):
            for part, tensor in zip(self.parts, self.moving, strict=True):
                flat = _flat(tensor)
                flat.copy_(torch.from_numpy(np.array(theta[part.span], dtype=np.float64)).reshape(flat.shape))
            return self._called()

    @cached_property
    def _saved_bytes(self) -> int:
        """Bytes that one call keeps for backward, and returns."""
        saved = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal saved
            saved += tensor.numel() * tensor.element_size()
            return tensor

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            found = real_outputs(self.call(*self.inputs))
        return saved + sum(o.numel() * o.element_size() for o in found)

    def with_input(self, number: int, values: Array) -> Array:
        """Outputs (k, M) with all of one input set to each row of values (k, its size)."""
        flat = _flat(self.moving[number])
        before = flat.clone()
        try:
            found = []
            for row in values:
                flat.copy_(torch.from_numpy(row).reshape(flat.shape))
                found.append(self._called())
        finally:
            flat.copy_(before)
        return np.stack(found)

    def outputs_at(self, positions: Indices, values: Array) -> Array:
        """Outputs (k, M) with one entry moved each."""
        found: Array = np.empty((0, 0))
        for number, part in enumerate(self.parts):
            here = np.flatnonzero((positions >= part.tensor.start) & (positions < part.tensor.stop))
            if not here.size:
                continue
            few = part.tensor.stop - part.tensor.start <= FEW
            move = self._one_by_one if few or not self.stacks(number) else self._stacks
            rows = move(number, positions[here] - part.tensor.start, values[here])
            if here.size == positions.size:
                return rows
            found = found if found.size else np.empty((positions.size, rows.shape[1]))
            found[here] = rows
        return found

    def stacks(self, number: int) -> bool:
        """Whether an input can be moved in stacks: they must give what plain calls give.  Found out once."""
        if number not in self._stackable:
            reason = self._why_not(number)
            self._stackable[number] = not reason
            if reason:
                self.reasons[number] = reason
                log.info("%s is moved by one call for each difference: %s", self.names[number], reason)
        return self._stackable[number]

    def _why_not(self, number: int) -> str:
        """Why an input cannot be moved in stacks, or "": rows with all entries moved, and with none, tell."""
        part = self.parts[number]
        if self._unit > COARSE:
            return "its precision is too low to tell whether vmap gives the same"
        theta = self.theta.copy()
        step = MOVE * np.abs(theta[part.span]) + LEAST_MOVE
        theta[part.span] += step * np.random.default_rng(number).choice((-1.0, 1.0), step.size)
        theta = self.rounded(np.arange(theta.size), theta)
        try:
            expected = self.at(theta)
        except Exception as error:
            return f"it cannot be moved as a whole: {in_short(error)}"
        tensor = self._plain[self.places[number]]
        stack = tensor.expand(2, *tensor.shape).clone(memory_format=torch.contiguous_format)
        flat = _flat(stack).view(2, -1)
        flat[1] = torch.from_numpy(theta[part.span]).to(flat.device, flat.dtype)
        try:
            with torch.enable_grad(), quiet():
                found = _rows(self._run_stack(number, stack), 2)
        except Exception as error:
            # Whatever a function does that vmap cannot is its own business: it is then called in the plain way.
            return f"vmap cannot take the function: {in_short(error)}"
        if found.shape[1:] != expected.shape or not self._alike(found[0], self._value):
            return "the function gives other values under vmap"
        if not self._alike(found[1], expected):
            return KEPT if self._alike(found[1], self._value) else "the function gives other values under vmap"
        return ""

    def _alike(self, found: Array, expected: Array) -> bool:
        """Whether outputs are the same but for rounding."""
        with np.errstate(all="ignore"):
            scale = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
            same = np.abs(found - expected) <= SAME * self._unit * scale
        return bool((same | (found == expected) | (np.isnan(found) & np.isnan(expected))).all())

    def _run_stack(self, number: int, stack: torch.Tensor) -> Tensors:
        """The real outputs of a stack of one input, the others as they are."""
        in_dims = tuple(0 if place == self.places[number] else None for place in range(len(self.inputs)))
        given = list(self._plain)
        given[self.places[number]] = stack
        return vmap(lambda *values: real_outputs((self.stacked or self.call)(*values)), in_dims=in_dims)(*given)

    def _stacks(self, number: int, positions: Indices, values: Array) -> Array:
        """Outputs with entries of one input moved, in stacks."""
        tensor = self._plain[self.places[number]]
        each = max(tensor.numel() * tensor.element_size() + self._saved_bytes, 1)
        rows = int(max(1, min(MOST_ROWS, positions.size, STACK_BYTES // each)))
        stack = tensor.expand(rows, *tensor.shape).clone(memory_format=torch.contiguous_format)
        flat = _flat(stack).view(rows, -1)
        where = torch.from_numpy(positions).to(tensor.device)
        new = torch.from_numpy(values).to(tensor.device, flat.dtype)
        kept = _flat(tensor.contiguous())[where]
        out: Array = np.empty((0, 0))
        with torch.enable_grad(), quiet():
            for start in range(0, positions.size, rows):
                block = slice(start, min(start + rows, positions.size))
                row = torch.arange(block.stop - block.start, device=tensor.device)
                flat[row, where[block]] = new[block]
                found = _rows(self._run_stack(number, stack[: row.numel()]), row.numel())
                out = out if start else np.empty((positions.size, found.shape[1]))
                out[block] = found  # a copy: outputs may be views of the stack
                flat[row, where[block]] = kept[block]
        return out

    def _one_by_one(self, number: int, positions: Indices, values: Array) -> Array:
        """Outputs with entries of one input moved in place, for functions that keep their inputs or defy vmap."""
        out: list[Array] = []
        with self._restored([number]):
            flat = _flat(self.moving[number])
            for position, value in zip(positions, values, strict=True):
                index = np.unravel_index(int(position), flat.shape)
                kept = flat[index].clone()
                flat[index] = float(value)
                out.append(self._called())
                flat[index] = kept
        return np.stack(out)

    def _called(self) -> Array:
        with torch.enable_grad():
            found = real_outputs(self.call(*self.inputs))
        forms = [(o.shape, o.dtype) for o in found]
        if self._forms and forms != self._forms:
            what = "shape" if [s for s, _ in forms] != [s for s, _ in self._forms] else "dtype"
            raise GradcheckError(f"Expected `func` to return outputs with the same {what} when inputs are perturbed, "
                                 f"got {_listed(forms)} after {_listed(self._forms)}: there is no derivative to check")
        return np.concatenate([np.empty(0), *(vector(o) for o in found)])

    @contextlib.contextmanager
    def _restored(self, numbers: Sequence[int]) -> Iterator[None]:
        """Inputs are as before afterwards, whatever happens."""
        kept = [(self.moving[n].data, self.moving[n].detach().clone()) for n in numbers]
        try:
            yield
        finally:
            for data, before in kept:
                data.copy_(before)


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers of a tensor, to be written to: a view without history, (n,) or with the tensor's own axes."""
    data = tensor.data
    data = torch.view_as_real(data) if data.is_complex() else data
    return data.view(-1) if data.is_contiguous() else data


def _listed(forms: Sequence[tuple[torch.Size, torch.dtype]]) -> str:
    return ", ".join(f"{tuple(shape)} of {dtype}" for shape, dtype in forms) or "no output"


def _rows(found: Tensors, rows: int) -> Array:
    """Outputs of a stack, (rows, M)."""
    flat = [o.detach().resolve_neg().reshape(rows, o.numel() // rows).to("cpu", torch.float64) for o in found]
    return (flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)).numpy() if flat else np.empty((rows, 0))


@dataclass(frozen=True, eq=False)
class TorchCost:
    """A function with one output as the cost of ``check_function``.

    Parameters
    ----------
    function : the function.
    value : its outputs at the point, by a plain call.
    """

    function: TorchFunction
    value: Tensors

    def as_evaluator(self) -> "TorchCost":
        """How its costs are computed where they are subtracted: by itself, moved inputs in stacks."""
        return self

    @cached_property
    def problem(self) -> "ProgramProblem":
        """What the program engine takes.

        Raises
        ------
        NoRule : where the function cannot be followed.
        """
        from .program.problem import program_problem

        tensors = tuple(part.tensor for part in self.function.parts)
        inputs = [tensor.detach().to(torch.float64) for tensor in self.function.moving]
        return program_problem(self.function.call, inputs, tensors, self.function.theta, float(self.value[0]))

    def at(self, theta: Array) -> float:
        """The cost of one vector."""
        return float(self.function.at(theta)[0])

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> Array:
        """Costs (k,) with one entry moved each, or (positions and values (k, w)) several: those by a call each."""
        if positions.ndim == 1 and positions.size:
            return self.function.outputs_at(positions, values)[:, 0]
        out = np.empty(len(positions))
        for row, (places, to) in enumerate(zip(positions, values, strict=True)):
            theta = self.function.theta.copy()
            theta[places] = to
            out[row] = self.at(theta)
        return out

    def how(self, engine: str) -> str:
        """How its differences were taken, in a sentence."""
        if engine == "program":
            return "Exact differences of the loss, by the rules of its operators, in double precision."
        reasons, names = self.function.reasons, self.function.names
        slow = ", ".join(names[number] for number in reasons)
        way = f"one call each for {slow} ({next(iter(reasons.values()))})" if slow else "vmap"
        return f"Differences of the loss by functional_call and {way}."
