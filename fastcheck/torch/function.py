"""A PyTorch function at one point: its inputs and outputs as vectors of real numbers, many moved inputs at a time."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.func import vmap

from .._constants import UNIT_ROUNDOFF
from .._errors import FastcheckError, in_short
from .._types import Array, Indices
from ..checks.jacobian.point import Part
from ..problems.functions.calling import input_names
from . import _compat
from .tensors import (
    Tensors,
    as_tuple,
    fill,
    joined,
    numbers_in,
    parts,
    put,
    quiet,
    real_outputs,
    recording,
    rows_of,
    unit_of,
)

if TYPE_CHECKING:
    pass

log = logging.getLogger("fastcheck.torch")

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


class ChangedOutputsError(FastcheckError, AssertionError):
    """The form of the outputs depends on the values of the inputs; an AssertionError, as in torch."""


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
    values : the same function without history, where that is cheaper.

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
    values: Callable[..., Any] | None = None
    reasons: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moving: Tensors = tuple(self.inputs[place] for place in self.places)
        self.theta: Array = joined(self.moving)
        stops = list(accumulate((numbers_in(t) for t in self.moving), initial=0))
        self.spans = tuple(slice(start, stop) for start, stop in pairwise(stops))
        self._forms: list[tuple[torch.Size, torch.dtype]] = []
        self.plain: Array = np.empty(0)
        self.unit = UNIT_ROUNDOFF / 2.0
        self._why: dict[_Group, str] = {}
        self.returned: tuple[Any, ...] = ()

    @cached_property
    def _plain(self) -> tuple[Any, ...]:
        """All inputs, without their history."""
        return tuple(i.detach() if isinstance(i, torch.Tensor) else i for i in self.inputs)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The inputs that are moved, by name."""
        names = self.names() if callable(self.names) else self.names
        names = input_names(self.call, len(self.inputs)) if names is None else names
        return parts([names[place] for place in self.places], self.moving)

    def value(self) -> Tensors:
        """Return the real outputs at the point, by a plain call; raises ValueError for sparse ones."""
        with recording():
            returned = self.call(*self.inputs)
        self.returned = as_tuple(returned)
        for place, one in enumerate(self.returned):
            if not isinstance(one, torch.Tensor):
                where = f" at place {place}" if isinstance(returned, (tuple, list)) else ""
                raise TypeError(f"func: expected a tensor or a tuple of tensors, got {type(one).__name__}{where}; "
                                "return the tensors alone")
        _compat.check_outputs(self.returned)
        found = real_outputs(self.returned)
        self._forms = [(o.shape, o.dtype) for o in found]
        self.plain = joined(found)
        self.unit = max((unit_of(t) for t in (*found, *self.moving)), default=UNIT_ROUNDOFF / 2.0)
        return found

    def rounded(self, positions: Indices, values: Array) -> Array:
        """Return values as the inputs' precision holds them."""
        out = np.array(values, dtype=np.float64)
        for span, tensor in zip(self.spans, self.moving, strict=True):
            here = (positions >= span.start) & (positions < span.stop)
            if tensor.dtype not in (torch.float64, torch.complex128) and here.any():
                dtype = tensor.real.dtype if tensor.is_complex() else tensor.dtype
                out[here] = torch.from_numpy(out[here]).to(dtype).to(torch.float64).numpy()
        return out

    def at(self, theta: Array) -> Array:
        """Return the outputs (M,) with all inputs at another point."""
        with self._restored(range(len(self.spans))):
            for span, tensor in zip(self.spans, self.moving, strict=True):
                fill(tensor, theta[span])
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

    def with_input(self, number: int, values: Sequence[Array]) -> list[Array]:
        """Return the outputs (M,) with all of one input set to each of some values (its size,)."""
        with self._restored([number]):
            found = []
            for row in values:
                fill(self.moving[number], row)
                found.append(self._called())
        return found

    def outputs_at(self, positions: Indices, values: Array) -> Array:
        """Return the outputs (k, M) with one entry moved each."""
        if self.theta.size <= FEW:
            return self._one_by_one(positions, values)
        if 16 * self.theta.size**2 <= JOINT_BYTES and not self.reasons:
            found = self._stacks(self._all, positions, values)
            if found is not None:
                return found
        found = np.empty((positions.size, self.plain.size))
        for number, here in self._by_input(positions):
            some = positions[here], values[here]
            rows = self._stacks(self._group(number), *some) if self.stacks(number) else self._one_by_one(*some)
            found[here] = self._one_by_one(*some) if rows is None else rows
        return found

    def _by_input(self, positions: Indices) -> Iterator[tuple[int, Indices]]:
        """Yield the inputs in which some positions lie, each with the places of these among the positions."""
        for number, span in enumerate(self.spans):
            here = np.flatnonzero((positions >= span.start) & (positions < span.stop))
            if here.size:
                yield number, here

    def stacks(self, number: int) -> bool:
        """Tell whether an input can be moved in stacks: they must give what plain calls give.  Found out once."""
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
        """Return the outputs at rows of a group's entries, or None, and why not."""
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
        """Tell whether outputs are the same but for rounding."""
        with np.errstate(all="ignore"):
            scale = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
            same = np.abs(found - expected) <= SAME * self.unit * scale
        return bool((same | (found == expected) | (np.isnan(found) & np.isnan(expected))).all())

    def _stacked(self, group: _Group, thetas: Array) -> Array:
        """Return the outputs (k, M) at rows (k, width) of the entries of a group of inputs, by one call under vmap."""
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
        return rows_of(found, len(thetas))

    def _one_by_one(self, positions: Indices, values: Array) -> Array:
        """Return the outputs with entries moved in place, for functions that keep their inputs or defy vmap."""
        out = np.empty((positions.size, self.plain.size))
        for number, here in self._by_input(positions):
            with self._restored([number]):
                for row in here:
                    place = int(positions[row]) - self.spans[number].start
                    kept = put(self.moving[number], place, float(values[row]))
                    out[row] = self._called()
                    put(self.moving[number], place, kept)
        return out

    def _called(self) -> Array:
        call = self.call if self.values is None else self.values
        with recording():
            found = real_outputs(call(*self.inputs))
        forms = [(o.shape, o.dtype) for o in found]
        if self._forms and forms != self._forms:
            what = "shape" if [s for s, _ in forms] != [s for s, _ in self._forms] else "dtype"
            raise ChangedOutputsError(
                f"Expected `func` to return outputs with the same {what} when inputs are perturbed, got "
                f"{_listed(forms)} after {_listed(self._forms)}: there is no derivative to check")
        return joined(found)

    @contextlib.contextmanager
    def _restored(self, numbers: Sequence[int]) -> Iterator[None]:
        """Inputs are as before afterwards, whatever happens."""
        kept = [(self.moving[n].data, self.moving[n].detach().clone()) for n in numbers]
        try:
            yield
        finally:
            for data, before in kept:
                data.copy_(before)


def _listed(forms: Sequence[tuple[torch.Size, torch.dtype]]) -> str:
    return ", ".join(f"{tuple(shape)} of {dtype}" for shape, dtype in forms) or "no output"


