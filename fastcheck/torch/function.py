"""A PyTorch function at one point: its inputs and outputs as vectors of real numbers, many moved inputs at a time."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import vmap

from .._types import Array, Indices
from ..checks.jacobian import Part
from ..engines.finite.noise import ROUNDING
from ..problems.parameters.tensor import Tensor

Tensors = tuple[torch.Tensor, ...]
# The module: torch.autograd.gradcheck as an attribute is the function in it.
theirs: Any = import_module("torch.autograd.gradcheck")
# Bytes that a stack of moved inputs, with what the function makes of it, may take: the processor's cache, about.
STACK_BYTES = 8 << 20
MOST_ROWS = 512
# Relative difference of a stacked function from the function itself that is still rounding, in units of its precision.
SAME = 1e5


def floating(tensor: Any) -> bool:
    """Whether it is a tensor of real or complex numbers."""
    return isinstance(tensor, torch.Tensor) and (tensor.is_floating_point() or tensor.is_complex())


def as_tuple(value: Any) -> tuple[Any, ...]:
    """What a function returned, as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def real_outputs(value: Any) -> Tensors:
    """The floating outputs, complex ones as pairs of real numbers."""
    return tuple(torch.view_as_real(o.resolve_conj()) if o.is_complex() else o for o in as_tuple(value) if floating(o))


def vector(tensor: torch.Tensor) -> Array:
    """A tensor as float64 numbers laid end to end; real and imaginary parts next to each other."""
    plain = tensor.detach().resolve_conj()
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
    reasons : why an input is moved in place, one call for each move, by its number among the moved ones.
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
        self._saved_bytes = 0
        self._plain = tuple(i.detach() if isinstance(i, torch.Tensor) else i for i in self.inputs)

    def value(self) -> Tensors:
        """The real outputs at the point, by a plain call, which also tells how much memory one takes."""
        saved = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal saved
            saved += tensor.numel() * tensor.element_size()
            return tensor

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            found = real_outputs(self.call(*self.inputs))
        self._saved_bytes = saved + sum(o.numel() * o.element_size() for o in found)
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

    def moved(self, positions: Indices, values: Array) -> Array:
        """Outputs (k, M) with one entry moved each."""
        found: Array = np.empty((0, 0))
        for number, part in enumerate(self.parts):
            here = np.flatnonzero((positions >= part.tensor.start) & (positions < part.tensor.stop))
            if not here.size:
                continue
            move = self._one_by_one if number in self.reasons else self._stacks
            rows = move(number, positions[here] - part.tensor.start, values[here])
            if here.size == positions.size:
                return rows
            found = found if found.size else np.empty((positions.size, rows.shape[1]))
            found[here] = rows
        return found

    def choose(self, value: Tensors) -> None:
        """Find out which inputs can be moved in stacks: those for which stacks give what plain calls give."""
        plain = np.concatenate([np.empty(0), *(vector(o) for o in value)])
        unit = max((unit_of(o) for o in value), default=ROUNDING)
        for number, part in enumerate(self.parts):
            if number in self.reasons or part.tensor.start == part.tensor.stop:
                continue
            here = np.array([0, part.tensor.stop - part.tensor.start - 1])
            try:
                rows = self._stacks(number, here, self.theta[part.span][here])
            except Exception as error:
                # Whatever a function does that vmap cannot is its own business: it is then called in the plain way.
                self.reasons[number] = f"vmap cannot take the function: {in_short(error)}"
                continue
            scale = np.max(np.abs(plain), initial=0.0)
            off = np.abs(rows - plain) if rows.shape[1:] == plain.shape else np.full(1, np.inf)
            if np.max(off, initial=0.0) > SAME * unit * scale:
                self.reasons[number] = "the function gives other values under vmap"

    def _stacks(self, number: int, positions: Indices, values: Array) -> Array:
        """Outputs with entries of one input moved, in stacks."""
        tensor = self._plain[self.places[number]]
        each = max(tensor.numel() * tensor.element_size() + self._saved_bytes, 1)
        rows = int(max(1, min(MOST_ROWS, positions.size, STACK_BYTES // each)))
        in_dims = tuple(0 if place == self.places[number] else None for place in range(len(self.inputs)))
        run = vmap(lambda *given: real_outputs((self.stacked or self.call)(*given)), in_dims=in_dims)
        stack = tensor.expand(rows, *tensor.shape).clone(memory_format=torch.contiguous_format)
        flat = _flat(stack).view(rows, -1)
        where = torch.from_numpy(positions).to(tensor.device)
        new = torch.from_numpy(values).to(tensor.device, flat.dtype)
        kept = _flat(tensor.contiguous())[where]
        out: list[Array] = []
        given = list(self._plain)
        with torch.enable_grad(), quiet():
            for start in range(0, positions.size, rows):
                block = slice(start, min(start + rows, positions.size))
                row = torch.arange(block.stop - block.start, device=tensor.device)
                flat[row, where[block]] = new[block]
                given[self.places[number]] = stack[: row.numel()]
                found = run(*given)
                out.append(_rows(found, row.numel()))
                flat[row, where[block]] = kept[block]
        return np.concatenate(out)

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


def _rows(found: Tensors, rows: int) -> Array:
    """Outputs of a stack, (rows, M)."""
    flat = [o.detach().reshape(rows, -1).to("cpu", torch.float64) for o in found]
    return (flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)).numpy() if flat else np.empty((rows, 0))


@dataclass(frozen=True)
class TorchCost:
    """A function with one output as the cost of ``check_function``: moves its inputs in stacks."""

    function: TorchFunction

    def as_evaluator(self) -> "TorchCost":
        """How its costs are computed: by itself."""
        return self

    def at(self, theta: Array) -> float:
        """The cost of one vector."""
        return float(self.function.at(theta)[0])

    def moved(self, positions: Indices, values: NDArray[Any]) -> Array:
        """Costs (k,) with one entry moved each, or (positions and values (k, w)) several: those by a call each."""
        if positions.ndim == 1 and positions.size:
            return self.function.moved(positions, values)[:, 0]
        out = np.empty(len(positions))
        for row, (places, to) in enumerate(zip(positions, values, strict=True)):
            theta = self.function.theta.copy()
            theta[places] = to
            out[row] = self.at(theta)
        return out
