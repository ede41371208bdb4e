"""What backward mode says: its products and its Jacobian, and whether it is a function, and a linear one, at all."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from .._types import Array
from .function import Tensors, in_short, quiet, unit_of, vector

log = logging.getLogger("fastcheck.torch")

# Bytes of gradients of outputs handed to one batched backward pass.
BATCH_BYTES = 1 << 24
# Backward of several outputs at once and the sum of those of each agree to this relative difference, or to this many
# unit roundoffs where that is more, but always to the third.
ADDED, ADDED_ROUNDINGS, ADDED_MOST = 1e-10, 1e4, 0.3
# Of -2 v backward gives exactly -2 times what it gives of v: no rounding depends on a sign or a power of two.  This
# many unit roundoffs of the largest gradient are for processors that flush the smallest numbers to zero.
SCALED_ROUNDINGS = 64.0
# How often a backward that is not linear is asked the same question, to see whether it is random instead.
RETRIES = 4


@dataclass(frozen=True)
class Backward:
    """Backward mode of a function at one point.

    outputs, inputs : tensors of the graph: real outputs that require gradients, and what is differentiated by.
    nondet_tol : how much gradients may differ between two calls.
    unit : unit roundoff of the precision that the function works in.
    """

    outputs: Tensors
    inputs: Tensors
    nondet_tol: float
    unit: float

    @classmethod
    def of(cls, outputs: Tensors, inputs: Tensors, nondet_tol: float, unit: float = 0.0) -> "Backward":
        """In the precision of its tensors, or a lower one."""
        return cls(outputs, inputs, nondet_tol, max(unit, *(unit_of(t) for t in (*outputs, *inputs))))

    @property
    def rows(self) -> tuple[slice, ...]:
        """Where each output lies among the rows of the Jacobian."""
        stops = np.cumsum([0, *(o.numel() for o in self.outputs)])
        return tuple(slice(int(a), int(b)) for a, b in pairwise(stops))

    def cotangents(self, v: Array) -> list[torch.Tensor]:
        """Gradients of the outputs from a vector (M,)."""
        return [torch.from_numpy(v[rows].copy()).reshape(o.shape).to(o.device, o.dtype)
                for rows, o in zip(self.rows, self.outputs, strict=True)]

    def product(self, v: Array, which: int | None = None) -> Array:
        """v @ Jacobian (n,) by one backward pass through all outputs, or through one of them: v (its size,)."""
        if which is None:
            return self.passed(self.outputs, self.cotangents(v))
        output = self.outputs[which]
        cotangent = torch.from_numpy(v.copy()).reshape(output.shape).to(output.device, output.dtype)
        return self.passed((output,), [cotangent])

    def passed(self, outputs: Tensors, cotangents: Sequence[torch.Tensor]) -> Array:
        """What backward makes of gradients of outputs: (n,)."""
        found = torch.autograd.grad(outputs, self.inputs, cotangents, retain_graph=True, allow_unused=True)
        return laid_out(found, self.inputs)

    def require_types(self) -> None:
        """Gradients have the dtypes of their inputs; raises GradcheckError."""
        v = self.cotangents(np.ones(self.rows[-1].stop))
        found = torch.autograd.grad(self.outputs, self.inputs, v, retain_graph=True, allow_unused=True)
        if any(g is not None and g.dtype != i.dtype for g, i in zip(found, self.inputs, strict=True)):
            raise GradcheckError("Gradient has dtype mismatch")

    def require_linear(self, v: Array) -> Array:
        """v @ Jacobian; raises GradcheckError if backward gives two answers to it, or to -2 v not -2 times it."""
        once, again = self.product(v), self.product(v)
        self._require_same(once, again)
        self._require_scaled(v, once)
        return once

    def _require_scaled(self, v: Array, once: Array) -> None:
        scaled = self.product(-2.0 * v)
        with np.errstate(all="ignore"):
            off = np.abs(scaled + 2.0 * once)
            largest = float(np.max(np.abs(once), initial=0.0))
        if math.isfinite(largest) and np.any(off > SCALED_ROUNDINGS * self.unit * largest + 3.0 * self.nondet_tol):
            for _ in range(RETRIES):  # or it gives now one answer and now another
                self._require_same(once, self.product(v))
            raise GradcheckError(
                "backward is not linear in the gradients of the outputs: for -2 times a gradient it does not give -2 "
                "times what it gave. Look for abs, a sign, a clamp, a norm or a constant in what it does to grad_output"
            )

    def jacobian(self, measured_unit: Callable[[], float] = float) -> Array:
        """The Jacobian (M, n), batched where backward allows it.

        Parameters
        ----------
        measured_unit : the unit roundoff that the function is found to work in; asked where that of its tensors seems
            not to be it.

        Raises
        ------
        GradcheckError : if backward gives two answers to one question, or is not linear.
        """
        v = np.random.default_rng(1).uniform(0.5, 1.5, self.rows[-1].stop)
        once = self.require_linear(v)
        found = np.empty((v.size, once.size))
        if v.size == 1:
            found[0] = once / v[0]
            return found
        for rows in (self._batched_rows, self._single_rows):
            try:
                with quiet():
                    rows(found)
            except Exception:
                # A backward that cannot be batched is asked row by row; there the error is its own.
                if rows == self._single_rows:
                    raise
                continue
            if self._adds_up(found, v, once):
                return found
        if replace(self, unit=max(self.unit, measured_unit()))._adds_up(found, v, once):
            return found
        second = np.empty_like(found)
        self._single_rows(second)
        self._require_same(found, second)
        raise GradcheckError(
            "backward is not linear in the gradients of the outputs: for several at once it gives another answer than "
            "the sum over each of them. Look for a maximum, a median, a norm or a sorting of grad_output in backward"
        )

    def _adds_up(self, found: Array, v: Array, once: Array) -> bool:
        """Whether the rows of a Jacobian, weighted and added, are what a single backward pass gave.

        Gradients that are zero in theory consist of rounding, of numbers near one: that share of one is allowed.
        """
        share = min(max(ADDED, ADDED_ROUNDINGS * self.unit), ADDED_MOST)
        with np.errstate(all="ignore"):
            if not np.isfinite(found).all():
                return True  # judged where it is compared, with its place
            off, size = np.abs(v @ found - once), v @ np.abs(found)
        floor = max(float(np.max(size, initial=0.0)), 1.0)
        return bool((off <= share * size + ADDED_ROUNDINGS * self.unit * floor + self.nondet_tol * v.sum()).all())

    def _batched_rows(self, out: Array) -> None:
        for rows, output in zip(self.rows, self.outputs, strict=True):
            count = output.numel()
            step = max(1, BATCH_BYTES // max(1, output.element_size() * max(count, *(i.numel() for i in self.inputs))))
            for start in range(0, count, step):
                some = min(step, count - start)
                eye = output.new_zeros((some, count))
                eye[torch.arange(some), torch.arange(start, start + some)] = 1.0
                found = torch.autograd.grad(output, self.inputs, eye.reshape(some, *output.shape), retain_graph=True,
                                            allow_unused=True, is_grads_batched=True)
                first, column = rows.start + start, 0
                for gradient, given in zip(found, self.inputs, strict=True):
                    width = given.numel() * (2 if given.is_complex() else 1)
                    block = out[first : first + some, column : column + width]
                    block[...] = 0.0 if gradient is None else vector(_as(gradient, given)).reshape(some, width)
                    column += width

    def _single_rows(self, out: Array) -> None:
        for rows, output in zip(self.rows, self.outputs, strict=True):
            one = torch.zeros_like(output, memory_format=torch.contiguous_format)
            for row in range(output.numel()):
                one.zero_()  # backward may have written into it
                one.view(-1)[row] = 1.0
                out[rows.start + row] = self.passed((output,), [one])

    def _require_same(self, first: Array, second: Array) -> None:
        with np.errstate(all="ignore"):  # what is not finite is judged where it is compared
            off = float(np.max(np.abs(first - second), initial=0.0))
        if off > self.nondet_tol:
            raise GradcheckError(
                "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times "
                f"gives different values: they differ by {off:.3g}, and nondet_tol is {self.nondet_tol:g}"
            )


def laid_out(gradients: Sequence[torch.Tensor | None], inputs: Tensors) -> Array:
    """Gradients end to end; zeros for None.

    Raises
    ------
    GradcheckError : where one has another shape than its input.
    """
    for gradient, given in zip(gradients, inputs, strict=True):
        if gradient is not None and gradient.shape != given.shape:
            raise GradcheckError(f"Analytical gradient has incorrect size: {tuple(gradient.shape)} for an input of "
                                 f"{tuple(given.shape)}")
    return np.concatenate([
        np.zeros(i.numel() * (2 if i.is_complex() else 1)) if g is None else vector(_as(g, i))
        for g, i in zip(gradients, inputs, strict=True)
    ])


def _as(gradient: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """A gradient as dense, and complex where its input is."""
    dense = gradient.to_dense() if gradient.layout != torch.strided else gradient
    return dense.to(given.dtype) if given.is_complex() and not dense.is_complex() else dense


def _strided(g: torch.Tensor) -> torch.Tensor:
    """The same numbers, the first axis the fastest in memory, with NaN in between: no view of it has one axis."""
    axes = tuple(reversed(range(g.ndim)))
    turned = g.permute(axes)
    return torch.stack((turned, torch.full_like(turned, torch.nan)), dim=-1)[..., 0].permute(axes)


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "non-contiguous": _strided,
    "expanded": lambda g: g.reshape(-1)[0].expand(g.shape) if g.numel() else g,
}


def require_any_layout(backward: Backward, v: Array) -> None:
    """Backward gives the same for gradients of outputs laid out in memory in other ways: as nn.Module's sums make them.

    A backward that raises on one, because it writes into it or asks for a view, is noted in the log.

    Raises
    ------
    GradcheckError : where it reads the memory as if it were contiguous.
    """
    for name, layout in LAYOUTS.items():
        strided = [layout(g) for g in backward.cotangents(v)]
        if all(g.is_contiguous() for g in strided):
            continue
        plain = backward.passed(backward.outputs, [g.contiguous().clone() for g in strided])
        try:
            found = backward.passed(backward.outputs, strided)
        except GradcheckError:
            raise
        except Exception as error:
            log.warning("backward raises on gradients of the outputs that are %s in memory (%s): it may write into "
                        "them or ask for a view; x.sum().backward() hands such gradients to it", name, in_short(error))
            continue
        with np.errstate(all="ignore"):
            off, size = np.abs(found - plain), float(np.max(np.abs(plain), initial=0.0))
            share = min(max(ADDED, ADDED_ROUNDINGS * backward.unit), ADDED_MOST)
            same = (off <= share * max(size, 1.0) + backward.nondet_tol) | (np.isnan(found) & np.isnan(plain))
        if not (same | (found == plain)).all():
            raise GradcheckError(
                f"backward reads the memory of grad_output as if it were contiguous: for a gradient of the output that "
                f"is {name} (strides {strided[0].stride()}) it gives another answer than for its contiguous copy, by "
                f"{float(np.nanmax(off, initial=0.0)):.3g}. Call grad_output.contiguous() first, or heed its strides"
            )
