"""One function held against its differences: all entries of its Jacobians, or random directions first."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from .._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from .._errors import NondeterministicError, NoRule, in_short
from .._types import Array, Indices
from ..checks.jacobian.exact import compare_exactly
from ..checks.jacobian.judge import compare, numerical_jacobian
from ..checks.jacobian.mismatch import Mismatch
from ..checks.jacobian.point import Point, Tolerances
from ..checks.jacobian.quotients import ExactJacobian
from ..engines.finite.noise import line_noise
from . import _compat
from .backward import FEW, Backward
from .backward_products import Products
from .directions import Directions
from .forward import forward_jacobian
from .function import TorchFunction
from .measured import explains, findings
from .precision import twin
from .tensors import (
    Tensors,
    as_tuple,
    floating,
    parts,
    random_numbers,
    real_outputs,
    requires_gradient,
    unit_of,
    vector,
)
from .widened import Widened

if TYPE_CHECKING:
    from .exact import Moved

log = logging.getLogger("fastcheck.torch")

# Step, relative to the usual entry, at which noise is looked for.
NOISE_STEP = 1e-7
# Relative difference of an exact change from one by subtraction that truncation may make up.
CONFIRMED = 1e-3
# Two values of a function that differ by more unit roundoffs of the largest one are not the same.
RANDOM = 1e3
# Entries of a Jacobian's rows from which on exact changes along a few directions take less than those of all entries.
MANY = 64
# Rows of a Jacobian in low precision whose rounding is measured one by one, where they disagree.
EXPLAINED = 8
# Entries of a Jacobian from which on products with a dozen gradients take less than its rows.
LARGE = 1 << 15


class RandomFunctionError(GradcheckError, NondeterministicError):
    """The function gives different values for the same inputs: it has no derivative to check."""


@dataclass(frozen=True)
class Options:
    """How to check: as the arguments of ``gradcheck``."""

    limits: Tolerances
    nondet_tol: float = 0.0
    dtypes: bool = False
    masked: bool | None = None
    fast: bool = False
    forward: bool = False
    backward: bool = True


class Check:
    """One function at one point.

    Parameters
    ----------
    call, inputs : the function, called with the inputs; those that require gradients are checked.
    names : gives those of all inputs; None for those of the function's parameters.
    stacked : the same function in a form that vmap can take, where ``call`` itself is none.
    values : the same function without history, where that is cheaper.

    Attributes
    ----------
    places, wanted : of the inputs that are checked, their places among all, and themselves.
    """

    def __init__(
        self, call: Callable[..., Any], inputs: tuple[Any, ...], options: Options,
        names: Callable[[], Sequence[str]] | None = None, stacked: Callable[..., Any] | None = None,
        values: Callable[..., Any] | None = None,
    ) -> None:
        self.call, self.inputs, self.options = call, inputs, options
        self.names, self.stacked, self.values = names, stacked, values
        self.proven: Array | None = None
        self.places = tuple(k for k, i in enumerate(inputs) if requires_gradient(i))
        self.wanted: Tensors = tuple(inputs[k] for k in self.places)

    @cached_property
    def function(self) -> TorchFunction:
        """The function of the inputs that are checked, which are dense."""
        return TorchFunction(self.call, self.inputs, self.places, self.names, self.stacked, self.values)

    @cached_property
    def value(self) -> Tensors:
        """The real outputs; raises ValueError for sparse ones."""
        return self.function.value()

    @property
    def _floating(self) -> list[torch.Tensor]:
        """The floating outputs, as they are returned."""
        return [o for o in self.function.returned if floating(o)]

    @cached_property
    def kept(self) -> list[int]:
        """Numbers of the floating outputs that have gradients."""
        returned = self._floating
        return [k for k, o in enumerate(returned) if _has_gradient(o, self.wanted)]

    @cached_property
    def outputs(self) -> Tensors:
        """The outputs that have gradients, complex ones as pairs of real numbers."""
        return tuple(self.value[k] for k in self.kept)

    @cached_property
    def backward(self) -> Backward:
        """Backward mode of those outputs."""
        returned = self._floating
        return Backward.of(tuple(returned[k] for k in self.kept), self.wanted, self.options.nondet_tol)

    @cached_property
    def rows(self) -> Indices:
        """Places of those outputs among the numbers of all."""
        if len(self.kept) == len(self.value):
            return np.arange(self.function.plain.size)
        stops = np.cumsum([0, *(o.numel() for o in self.value)])
        return np.concatenate([np.empty(0, np.int64), *(np.arange(stops[k], stops[k + 1]) for k in self.kept)])

    @cached_property
    def point(self) -> Point:
        """The function of the inputs that are checked, as Jacobians are compared."""
        return _point(_Selected(self.function, self.rows), self.function, self.outputs, self.options.nondet_tol)

    @cached_property
    def directions(self) -> Directions:
        """The function along random directions."""
        return Directions(self.function, self.rows, self.options.limits, self.options.nondet_tol)

    @cached_property
    def exact(self) -> Array | ExactJacobian | None:
        """Its Jacobian (M, n) by exact changes, from both sides at kinks; None where it cannot be followed."""
        if self.proven is not None:
            return self.proven
        try:
            return None if self.moved is None else self.moved.jacobian()
        except NoRule as refused:
            log.info("ordinary differences: %s", refused)
            return None

    @cached_property
    def moved(self) -> "Moved | None":
        """The function's operators, whose changes are exact; None where it cannot be followed."""
        from .exact import moved

        try:
            return moved(self.function, self.directions)
        except NoRule as refused:
            log.info("ordinary differences: %s", refused)
            return None

    @cached_property
    def numerical(self) -> Array:
        """Its Jacobian (M, n) by ordinary differences; overwritten where better ones are found."""
        return numerical_jacobian(self.point, self.options.limits.eps)

    @property
    def returned(self) -> tuple[Any, ...]:
        """All that the function returns."""
        return self.function.returned if self.dense else as_tuple(self.call(*self.inputs))

    @cached_property
    def dense(self) -> bool:
        """Whether all inputs that are checked are dense."""
        return all(i.layout == torch.strided for i in self.wanted)

    def run(self) -> None:
        """Compare Jacobians; raises GradcheckError."""
        if not self.dense:
            self._by_torch()
            return
        if not self.value:
            return
        self._require_finite()
        if not self.kept:
            self._require_function()
            self._require_constant()
            return
        unit = max(unit_of(t) for t in (*self.outputs, *self.wanted))
        wide = twin(self.call, self.inputs, self.value) if unit > UNIT_ROUNDOFF else None
        if wide is not None:
            self._require_function()
            self._beside(Check(self.call, wide, self.options, self.names, self.stacked, self.values), unit)
            return
        if self.options.backward:
            self._backward(self.options.fast and unit <= UNIT_ROUNDOFF)
        if self.options.forward:
            self._require(self.forward_jacobian(), "forward ")

    def _backward(self, fast: bool) -> None:
        if self.options.dtypes:
            self.backward.require_types()
        if fast and Products(self.backward, self.directions).agree():
            return
        if self._large and self._proven(lambda directions: Products(self.backward, directions).prove()):
            return
        self._require(self.backward.jacobian(self._measured_unit))
        self.backward.require_expanded(random_numbers(3, self.rows.size))

    def _require(self, jacobian: Array, mode: str = "") -> None:
        """A Jacobian is right along random directions, or, where those do not prove it, entry by entry."""
        if self._proven(lambda directions: directions.prove(jacobian)):
            self.proven = jacobian
            return
        self._require_function()
        self.compare(jacobian, mode)

    @property
    def _large(self) -> bool:
        """Whether products prove the Jacobian in less time than backward gives its rows in."""
        return self.rows.size > FEW and self.rows.size * self.function.theta.size >= LARGE

    def _proven(self, by: Callable[[Directions], bool]) -> bool:
        """Whether directions prove a Jacobian: by subtraction, or where that leaves a doubt by exact changes.

        Those of few entries are as soon looked at one by one.
        """
        if by(self.directions):
            return True
        if self.function.theta.size < MANY or self.moved is None:
            return False
        try:
            return by(self.moved.along)
        except NoRule as refused:
            log.info("entry by entry: %s", refused)
            return False

    def _measured_unit(self) -> float:
        """The relative noise of the outputs along a random direction: a function may work in less than double."""
        theta = self.function.theta
        direction, v = random_numbers(4, theta.size), random_numbers(5, self.rows.size)
        size = float(np.linalg.norm(v * self.point.value)) or 1.0

        def along(distances: Array) -> Array:
            return np.array([v @ self.function.at(theta + d * direction)[self.rows] for d in distances])

        step = NOISE_STEP * max(float(np.median(np.abs(theta))), np.finfo(np.float64).tiny)
        return line_noise(along, step, float(v @ self.point.value)) / size

    def _beside(self, wide: "Check", unit: float) -> None:
        """Check the function in double precision, and then its derivatives in low precision against that."""
        try:
            with Widened():  # what casts to less by itself stays double
                wide.run()
        except GradcheckError:
            raise
        except Exception as error:
            log.info("backward cannot run in double precision, only the function can: %s", error)
        modes: list[tuple[str, Callable[[], Array]]] = []
        if self.options.backward:
            modes.append(("", lambda: self.backward.jacobian(self._measured_unit)))
        if self.options.forward:
            modes.append(("forward ", self.forward_jacobian))
        if self.options.dtypes and self.options.backward:
            self.backward.require_types()
        for mode, jacobian in modes:
            found = jacobian()
            with Widened():
                apart = wide._disagreeing(found, replace(self.options.limits, unit=unit))
            if apart is not None:
                # It may have taken another branch: its own differences, less precise, decide.
                own = self._disagreeing(found, self.options.limits)
                if own is not None and (mode or not self._explained(own, unit)):
                    raise self._error(own, mode)
        if self.options.backward:
            self._require_rounding(unit)
            self.backward.require_expanded(random_numbers(3, self.rows.size))

    def _require_rounding(self, unit: float) -> None:
        """What gradients in low precision are off by is rounding, as it spreads; raises GradcheckError."""
        try:
            found = findings(self.call, self.inputs, unit)
        except Exception as error:
            log.info("the spread of rounding was not measured: %s", in_short(error))
            return
        for place, finding in found.items():
            name = self.function.parts[self.places.index(place)].name
            raise GradcheckError(f"Gradient mismatch with respect to input {place} ({name}): in "
                                 f"{self.inputs[place].dtype} it {finding}")

    def forward_jacobian(self) -> Array:
        """Return the Jacobian (M, n) by forward mode."""
        return forward_jacobian(self.call, self.inputs, self.function.returned, self.places, self.kept,
                                self.options.dtypes)

    def compare(self, analytical: Array, mode: str = "") -> None:
        """Hold a Jacobian against the differences, exact ones where there are; raises GradcheckError."""
        found = self._disagreeing(analytical, self.options.limits)
        if found is not None:
            raise self._error(found, mode)

    @staticmethod
    def _error(found: Mismatch, mode: str) -> GradcheckError:
        text = str(found)
        return GradcheckError(text.replace("Jacobian ", "Jacobian computed with forward mode ", 1) if mode else text)

    def _explained(self, found: Mismatch, unit: float) -> bool:
        """Tell whether rounding in low precision explains a mismatch with the truth, and with noisier differences."""
        rows = {int(row) for row, _ in found.places}
        if len(rows) > EXPLAINED or any(output.is_complex() for output in self._floating):
            return False
        try:
            return all(explains(self.call, self.inputs, unit, row) for row in rows)
        except Exception as error:
            log.info("the spread of rounding was not measured: %s", in_short(error))
            return False

    def _disagreeing(self, analytical: Array, limits: Tolerances) -> Mismatch | None:
        if self.exact is not None:
            if isinstance(self.exact, ExactJacobian):
                found = compare_exactly(self.point, analytical, self.exact, limits)
            else:
                found = compare(self.point, analytical, self.exact, limits, exact=True)
            if found is None or self._by_subtraction(found):
                return found
        return compare(self.point, analytical, self.numerical, limits)

    def _by_subtraction(self, found: Mismatch) -> bool:
        """Whether subtraction gives what exact changes give for the worst entry of a mismatch, but for its noise."""
        row, column = map(int, found.places[0])
        step = np.concatenate([self.point.steps(of, self.options.limits.eps) for of in self.point.inputs])[column]
        theta = self.point.theta[column]
        ends = self.point.function.outputs_at(np.array([column, column]), theta + step * np.array([1.0, -1.0]))[:, row]
        noise = NOISE_SIGMAS * self.point.rounding(self.point.output_of(row)) / step
        exact = found.numerical[row, column]
        return bool(abs((ends[0] - ends[1]) / (2.0 * step) - exact) <= noise + CONFIRMED * abs(exact))

    def _require_finite(self) -> None:
        """Outputs are finite numbers; raises GradcheckError."""
        if np.isfinite(self.function.plain).all():
            return
        for number, output in enumerate(self.value):
            broken = np.flatnonzero(~np.isfinite(vector(output)))
            if broken.size:
                at = ", ".join(str(i) for i in np.unravel_index(int(broken[0]), output.shape or (1,)))
                raise GradcheckError(f"output {number} is {vector(output)[broken[0]]} at [{at}]: there is no derivative"
                                     " to check. Check inputs at which the function is finite")

    def _require_function(self) -> None:
        """Outputs of a second call differ from those of the first by no more than rounding, or than is allowed.

        Where random directions agree, the function cannot be random: its differences would not be.
        """
        for first, second in zip(self.value, real_outputs(self.call(*self.inputs)), strict=True):
            values = vector(first)
            off = float(np.max(np.abs(values - vector(second)), initial=0.0))
            scale = max(float(np.max(np.abs(values), initial=0.0)), 1e-300)
            if not off <= max(self.options.nondet_tol, RANDOM * unit_of(first) * scale):
                raise RandomFunctionError(
                    f"the function is random: two calls with the same inputs differ by {off:.3g}: there is no "
                    "derivative to check. Likely causes: dropout left on, random numbers drawn in the function, or "
                    "state that moves with each call. Switch it off (module.eval()), or fix it inside the function"
                )

    def _require_constant(self) -> None:
        """Without outputs that have gradients nothing may depend on the inputs."""
        point = _point(self.function, self.function, self.value, self.options.nondet_tol)
        rise = numerical_jacobian(point, self.options.limits.eps)
        if np.any(np.abs(rise) * self.options.limits.eps > self.options.nondet_tol):
            raise GradcheckError("Numerical gradient for function expected to be zero: no output requires gradients, "
                                 "yet they depend on the inputs (detach(), .data, no_grad() or NumPy inside?)")

    def _by_torch(self) -> None:
        """Sparse and other layouts: torch's own Jacobians, entry by entry."""
        log.info("inputs that are not dense are left to torch's own loop")
        limits, options = self.options.limits, self.options
        if not _compat.gradcheck(
            self.call, self.inputs, eps=limits.eps, atol=limits.atol, rtol=limits.rtol,
            nondet_tol=options.nondet_tol, check_undefined_grad=False, check_grad_dtypes=options.dtypes,
            check_forward_ad=options.forward, check_backward_ad=options.backward, masked=options.masked,
            fast_mode=options.fast,
        ):
            raise GradcheckError("torch's gradcheck of the sparse inputs failed")


class _Selected:
    """A function of which some outputs are wanted."""

    def __init__(self, function: TorchFunction, rows: Indices) -> None:
        self.function, self.rows = function, rows
        self.rounded = function.rounded

    def outputs_at(self, positions: Indices, values: Array) -> Array:
        """Return the wanted outputs where single inputs have other values (see ``TorchFunction.outputs_at``)."""
        found = self.function.outputs_at(positions, values)
        return found if self.rows.size == found.shape[1] else found[:, self.rows]


def _has_gradient(output: torch.Tensor, inputs: Tensors) -> bool:
    """Whether backward can start at an output.  A view made under no_grad claims to require gradients, and cannot."""
    return output.requires_grad and (output.grad_fn is not None or any(output is i for i in inputs))


def _point(moved: Any, function: TorchFunction, outputs: Tensors, jitter: float) -> Point:
    names = ["output"] if len(outputs) == 1 else [f"output{k}" for k in range(len(outputs))]
    return Point(moved, function.theta, np.concatenate([np.empty(0), *(vector(o) for o in outputs)]), function.parts,
                 parts(names, outputs), jitter)
