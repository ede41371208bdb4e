"""A PyTorch function at one point: its inputs and outputs as vectors of real numbers, many moved inputs at a time."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.gradcheck import GradcheckError
from torch.func import vmap

from .._constants import UNIT_ROUNDOFF
from .._errors import NoRule
from .._types import Array, Indices
from ..checks.jacobian.point import Part
from ..problems.functions.vjp import input_names
from ..problems.parameters.tensor import Tensor
from ..runtime.run import Run
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
# A function of this many entries or fewer is called once for each move: quicker than to find out about stacks.
FEW = 4
# All inputs are moved in one stack where it takes no more bytes than this.
JOINT_BYTES = 1 << 20
# A function of a unit roundoff larger than this is not stacked: its rounding hides whether stacks give the same.
COARSE = 1e-5
KEPT = "the function keeps this input itself instead of using what it is called with"
OTHERWISE = "the function gives other values under vmap"


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
    zero = tensor._is_zerotensor()
    if tensor.dtype is torch.float64 and tensor.is_cpu and not (zero or tensor.is_neg()):
        return tensor.detach().numpy().reshape(-1)
    if zero:
        return np.zeros(tensor.numel() * (2 if tensor.is_complex() else 1))
    plain = tensor.detach().resolve_conj().resolve_neg()
    flat = torch.view_as_real(plain) if plain.is_complex() else plain
    return flat.to("cpu", torch.float64).reshape(-1).numpy()


def random_numbers(seed: int, size: int) -> Array:
    """Numbers of sizes from 0.5 to 1.5 of both signs; drawn by torch, whose generators are quicker to make."""
    generator = torch.Generator().manual_seed(seed)
    numbers = 2.0 * torch.rand(size, generator=generator, dtype=torch.float64, device="cpu").numpy() - 1.0
    return np.asarray(numbers + np.copysign(0.5, numbers))


def unit_of(tensor: torch.Tensor) -> float:
    """Unit roundoff of a tensor's precision."""
    return torch.finfo(tensor.dtype).eps / 2.0


def parts(names: Sequence[str], tensors: Sequence[torch.Tensor]) -> tuple[Part, ...]:
    """Where tensors lie in one vector of real numbers."""
    found, start = [], 0
    for name, tensor in zip(names, tensors, strict=True):
        shape = (*tensor.shape, 2) if tensor.is_complex() else tuple(tensor.shape)
        stop = start + tensor.numel() * (2 if tensor.is_complex() else 1)
        unit = max(unit_of(tensor), UNIT_ROUNDOFF / 2.0)
        found.append(Part(Tensor(name, shape, start, stop), tensor.is_complex(), unit))
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


@dataclass(frozen=True)
class _Group:
    """Inputs that are moved in one stack: their numbers, and where their entries lie in theta."""

    numbers: tuple[int, ...]
    start: int
    stop: int


@dataclass
class TorchFunction:
    """A function at the point where its inputs are.

    Parameters
    ----------
    call : called with all inputs.
    inputs : tensors and others.
    places : which of them are moved: dense floating tensors.
    names : of all inputs, or a function that gives them; None for those of the function's parameters.
    stacked : the same function in a form that vmap can take, where ``call`` itself is none.

    Attributes
    ----------
    moving, spans, theta : the inputs that are moved, where they lie in one vector, and that vector (n,).
    reasons : why an input is moved in place, one call for each move, by its number among the moved ones.
    returned, plain, unit : what the function returned when ``value`` called it, its real outputs as one vector (M,),
        and the largest unit roundoff of those and of the inputs that are moved.
    """

    call: Callable[..., Any]
    inputs: tuple[Any, ...]
    places: tuple[int, ...]
    names: Sequence[str] | Callable[[], Sequence[str]] | None = None
    stacked: Callable[..., Any] | None = None
    reasons: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moving: Tensors = tuple(self.inputs[place] for place in self.places)
        numbers = [vector(t) for t in self.moving]
        self.theta: Array = np.concatenate(numbers) if numbers else np.empty(0)
        stops = list(accumulate((n.size for n in numbers), initial=0))
        self.spans = tuple(slice(start, stop) for start, stop in pairwise(stops))
        self._plain = tuple(i.detach() if isinstance(i, torch.Tensor) else i for i in self.inputs)
        self._forms: list[tuple[torch.Size, torch.dtype]] = []
        self.plain: Array = np.empty(0)
        self.unit = UNIT_ROUNDOFF / 2.0
        self._why: dict[_Group, str] = {}
        self.returned: tuple[Any, ...] = ()

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The inputs that are moved, by name."""
        names = self.names() if callable(self.names) else self.names
        names = input_names(self.call, len(self.inputs)) if names is None else names
        return parts([names[place] for place in self.places], self.moving)

    def value(self) -> Tensors:
        """The real outputs at the point, by a plain call; raises ValueError for sparse ones."""
        with torch.enable_grad():
            self.returned = as_tuple(self.call(*self.inputs))
        _compat.check_outputs(tuple(o for o in self.returned if isinstance(o, torch.Tensor)))
        found = real_outputs(self.returned)
        self._forms = [(o.shape, o.dtype) for o in found]
        self.plain = np.concatenate([np.empty(0), *(vector(o) for o in found)])
        self.unit = max((unit_of(t) for t in (*found, *self.moving)), default=UNIT_ROUNDOFF / 2.0)
        return found

    def rounded(self, positions: Indices, values: Array) -> Array:
        """Values as the inputs' precision holds them."""
        out = np.array(values, dtype=np.float64)
        for span, tensor in zip(self.spans, self.moving, strict=True):
            here = (positions >= span.start) & (positions < span.stop)
            if tensor.dtype not in (torch.float64, torch.complex128) and here.any():
                dtype = tensor.real.dtype if tensor.is_complex() else tensor.dtype
                out[here] = torch.from_numpy(out[here]).to(dtype).to(torch.float64).numpy()
        return out

    def at(self, theta: Array) -> Array:
        """Outputs (M,) with all inputs at another point."""
        with self._restored(range(len(self.spans))):
            for span, tensor in zip(self.spans, self.moving, strict=True):
                _fill(tensor, theta[span])
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
        with self._restored([number]):
            found = []
            for row in values:
                _fill(self.moving[number], row)
                found.append(self._called())
        return np.stack(found)

    def outputs_at(self, positions: Indices, values: Array) -> Array:
        """Outputs (k, M) with one entry moved each."""
        if self.theta.size <= FEW:
            return self._one_by_one(positions, values)
        if 16 * self.theta.size**2 <= JOINT_BYTES and not self.reasons:
            found = self._stacks(self._all, positions, values)
            if found is not None:
                return found
        found = np.empty((positions.size, self.plain.size))
        for number, span in enumerate(self.spans):
            here = np.flatnonzero((positions >= span.start) & (positions < span.stop))
            if here.size:
                some = positions[here], values[here]
                rows = self._stacks(self._group(number), *some) if self.stacks(number) else self._one_by_one(*some)
                found[here] = self._one_by_one(*some) if rows is None else rows
        return found

    def stacks(self, number: int) -> bool:
        """Whether an input can be moved in stacks: they must give what plain calls give.  Found out once."""
        if number not in self.reasons and self._stacks(self._group(number), np.empty(0, np.int64), np.empty(0)) is None:
            self.reasons[number] = self._why[self._group(number)]
            log.info("%s is moved by one call for each difference: %s", self.parts[number].name, self.reasons[number])
        return number not in self.reasons

    @property
    def _all(self) -> _Group:
        return _Group(tuple(range(len(self.spans))), 0, self.theta.size)

    def _group(self, number: int) -> _Group:
        return _Group((number,), self.spans[number].start, self.spans[number].stop)

    def _stacks(self, group: _Group, positions: Indices, values: Array) -> Array | None:
        """Outputs (k, M) with entries of a group of inputs moved, in stacks; None where ``_why`` says why not.

        The first stack of a group has two rows more: one with no entry moved and one with all of them.  They must give
        what plain calls give.
        """
        if self._why.get(group):
            return None
        out, rows = np.empty((positions.size, self.plain.size)), self._rows_at_once(group, positions.size)
        for start in range(0, max(positions.size, 1), rows):
            block = slice(start, min(start + rows, positions.size))
            count = block.stop - block.start
            thetas = np.repeat(self.theta[None, group.start : group.stop], count, axis=0)
            thetas[np.arange(count), positions[block] - group.start] = values[block]
            if group in self._why:
                if count:
                    out[block] = self._stacked(group, thetas)
            else:
                found = self._tried(group, thetas)
                if found is None:
                    return None
                out[block] = found
        return out

    def _rows_at_once(self, group: _Group, wanted: int) -> int:
        each = 8 * (group.stop - group.start + self.plain.size)
        if wanted * each > STACK_BYTES // 64:
            each += self._saved_bytes
        return int(max(1, min(MOST_ROWS, STACK_BYTES // max(each, 1))))

    def _tried(self, group: _Group, thetas: Array) -> Array | None:
        """Outputs at rows of a group's entries, or None, and why not."""
        if self.unit > COARSE:
            self._why[group] = "its precision is too low to tell whether vmap gives the same"
            return None
        here = slice(group.start, group.stop)
        shaken = self.theta.copy()
        shaken[here] += (MOVE * np.abs(shaken[here]) + LEAST_MOVE) * self._shake(group)
        shaken = self.rounded(np.arange(shaken.size), shaken)
        try:
            expected = self.at(shaken)
        except Exception as error:
            self._why[group] = f"it cannot be moved as a whole: {in_short(error)}"
            return None
        try:
            found = self._stacked(group, np.concatenate([self.theta[None, here], shaken[None, here], thetas]))
        except Exception as error:
            # Whatever a function does that vmap cannot is its own business: it is then called in the plain way.
            self._why[group] = f"vmap cannot take the function: {in_short(error)}"
            return None
        alike = [found.shape[1:] == e.shape and self._alike(f, e)
                 for f, e in zip(found, (self.plain, expected), strict=False)]
        kept = found.shape[1:] == self.plain.shape and self._alike(found[1], self.plain)
        self._why[group] = "" if all(alike) else KEPT if alike[0] and kept else OTHERWISE
        return found[2:] if all(alike) else None

    def _shake(self, group: _Group) -> Array:
        return np.random.default_rng(group.start).choice((-1.0, 1.0), group.stop - group.start)

    def _alike(self, found: Array, expected: Array) -> bool:
        """Whether outputs are the same but for rounding."""
        with np.errstate(all="ignore"):
            scale = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
            same = np.abs(found - expected) <= SAME * self.unit * scale
        return bool((same | (found == expected) | (np.isnan(found) & np.isnan(expected))).all())

    def _stacked(self, group: _Group, thetas: Array) -> Array:
        """Outputs (k, M) at rows (k, width) of the entries of a group of inputs, by one call under vmap."""
        given = list(self._plain)
        in_dims: list[int | None] = [None] * len(self.inputs)
        for number in group.numbers:
            span, tensor, place = self.spans[number], self.moving[number], self.places[number]
            new = torch.from_numpy(np.array(thetas[:, span.start - group.start : span.stop - group.start]))
            new = torch.view_as_complex(new.reshape(len(thetas), -1, 2)) if tensor.is_complex() else new
            given[place] = new.reshape(len(thetas), *tensor.shape).to(tensor.device, tensor.dtype)
            in_dims[place] = 0
        with torch.enable_grad(), quiet():
            found = vmap(lambda *values: real_outputs((self.stacked or self.call)(*values)), tuple(in_dims))(*given)
        return _rows(found, len(thetas))

    def _one_by_one(self, positions: Indices, values: Array) -> Array:
        """Outputs with entries moved in place, for functions that keep their inputs or defy vmap."""
        out = np.empty((positions.size, self.plain.size))
        for number, span in enumerate(self.spans):
            here = np.flatnonzero((positions >= span.start) & (positions < span.stop))
            if not here.size:
                continue
            with self._restored([number]):
                for row in here:
                    kept = _put(self.moving[number], int(positions[row]) - span.start, float(values[row]))
                    out[row] = self._called()
                    _put(self.moving[number], int(positions[row]) - span.start, kept)
        return out

    def _called(self) -> Array:
        with contextlib.nullcontext() if torch.is_grad_enabled() else torch.enable_grad():
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


def _put(tensor: torch.Tensor, position: int, value: float) -> float:
    """Write one of the real numbers that a tensor holds, without history; returns the one that was there."""
    data = tensor.data
    place, part = (position // 2, position % 2) if data.is_complex() else (position, 0)
    index = tuple(int(i) for i in np.unravel_index(place, tuple(data.shape)))
    before = data[index].item()
    if data.is_complex():
        data[index] = complex(before.real, value) if part else complex(value, before.imag)
        return float(before.imag if part else before.real)
    data[index] = value
    return float(before)


def _fill(tensor: torch.Tensor, numbers: Array) -> None:
    """Write all of the real numbers that a tensor holds, without history."""
    new = torch.from_numpy(np.array(numbers, dtype=np.float64))
    new = torch.view_as_complex(new.reshape(-1, 2)) if tensor.is_complex() else new
    tensor.data.copy_(new.reshape(tensor.shape))


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

    def method(self, run: Run) -> Literal["all", "directional"]:
        """ "all" where all entries take a few seconds, or have to be subtracted; else "directional"."""
        from .program.problem import affordable

        try:
            return "all" if affordable(self.problem, run) else "directional"
        except NoRule:
            return "all"

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
        reasons, parts = self.function.reasons, self.function.parts
        slow = ", ".join(parts[number].name for number in reasons)
        way = f"one call each for {slow} ({next(iter(reasons.values()))})" if slow else "vmap"
        return f"Differences of the loss by functional_call and {way}."
