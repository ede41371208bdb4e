"""What backward mode says: its products and its Jacobian, and whether it is a function, and a linear one, at all."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from .._errors import in_short
from .._types import Array
from . import _compat
from .tensors import Tensors, numbers_in, quiet, unit_of, vector

log = logging.getLogger("fastcheck.torch")

# Bytes of gradients of outputs handed to one batched backward pass.
BATCH_BYTES = 1 << 24
# Two ways to one product of backward agree to this relative difference, or to this many unit roundoffs where that is
# more; in half precision to the last of these, or to fewer unit roundoffs where that is more.
AGREE, ROUNDINGS, MOST, LEAST_ROUNDINGS = 1e-10, 1e4, 1e-2, 64.0
# Nothing is called a mistake below this relative difference: a backward that chooses its accuracy by the size of its
# gradients (that of the matrix exponential) is linear to 1e-7 only, while a clamp, a sign or strides show in the first
# digits.  Gradients that are zero in theory may be this share of the largest, or of one: with inputs of 1e4 in an
# exponential their rounding is 1e-11.
MISTAKEN, FLOOR = 1e-6, 1e-9
# The rows of this many outputs or fewer are asked for one by one: quicker than a batch.
FEW = 6
# How often a backward that does not seem linear is asked the same question, to see whether it is random instead.
RETRIES = 4


@dataclass(frozen=True)
class Backward:
    """Backward mode of a function at one point.

    outputs, inputs : tensors of the graph: outputs that require gradients, and what is differentiated by.  Complex
        numbers count as two real ones next to each other.
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

    @cached_property
    def rows(self) -> tuple[slice, ...]:
        """Where each output lies among the rows of the Jacobian."""
        stops = accumulate((numbers_in(o) for o in self.outputs), initial=0)
        return tuple(slice(start, stop) for start, stop in pairwise(stops))

    def cotangents(
        self, v: Array, layout: Callable[[torch.Tensor], torch.Tensor] = lambda g: g
    ) -> list[torch.Tensor]:
        """Gradients of the outputs from a vector (M,), laid out in memory in some way."""
        return [layout(_shaped(_copied(v[rows]), output)) for rows, output in zip(self.rows, self.outputs, strict=True)]

    def product(self, v: Array, which: int | None = None) -> Array:
        """v @ Jacobian (n,) by one backward pass through all outputs, or through one of them: v (its size,)."""
        if which is None:
            return self.passed(self.outputs, self.cotangents(v))
        output = self.outputs[which]
        return self.passed((output,), [_shaped(_copied(v), output)])

    def passed(self, outputs: Tensors, cotangents: Sequence[torch.Tensor]) -> Array:
        """Return what backward makes of gradients of outputs: (n,)."""
        found = _compat.run_backward(outputs, tuple(cotangents), True, False, self.inputs, True, accumulate_grad=False)
        return laid_out(found, self.inputs)

    def require_types(self) -> None:
        """Gradients have the dtypes of their inputs; raises GradcheckError."""
        v = self.cotangents(np.ones(self.rows[-1].stop))
        found = torch.autograd.grad(self.outputs, self.inputs, v, retain_graph=True, allow_unused=True)
        if any(g is not None and g.dtype != i.dtype for g, i in zip(found, self.inputs, strict=True)):
            raise GradcheckError("Gradient has dtype mismatch")

    def close(
        self, found: Array, expected: Array, size: Array | None = None, agree: float = MISTAKEN, floor: float = FLOOR
    ) -> bool:
        """Tell whether two ways to one product (n,) give the same, but for rounding.

        Gradients that are zero in theory consist of rounding, of numbers near one: that share of one is allowed.

        Parameters
        ----------
        size : the sums of the sizes (n,) of what was added to make them; None for their own.
        agree, floor : the relative difference that is allowed, of each and of the largest; more in low precision.
        """
        share = max(agree, min(ROUNDINGS * self.unit, max(LEAST_ROUNDINGS * self.unit, MOST)))
        with np.errstate(all="ignore"):
            off, sizes = np.abs(found - expected), np.abs(expected) if size is None else size
            floor = min(share, max(floor, ROUNDINGS * self.unit)) * max(float(np.max(sizes, initial=0.0)), 1.0)
            return bool((~(off > share * sizes + floor + self.nondet_tol) | ~np.isfinite(off)).all())

    def probed(self, v: Array) -> Array:
        """v @ Jacobian (n,); backward must show that it is linear in gradients of the outputs, whatever their strides.

        A backward that raises on gradients that are not contiguous, because it asks for a view, is noted in the log.

        Raises
        ------
        GradcheckError : if backward gives two answers to one question, does not give -2 times as much for -2 v, or
            reads the memory of its gradients as if they were contiguous.
        """
        plain = self.cotangents(v)
        strided = [_strided(g) for g in plain]
        first = self._in_layout("non-contiguous", strided)
        scaled = self.passed(self.outputs, [-2.0 * g for g in plain])
        if first is not None and np.array_equal(scaled, -2.0 * first):
            return first
        once = self.product(v)
        for _ in range(RETRIES if not np.array_equal(scaled, -2.0 * once) else 1):
            self._require_same(once, self.product(v))
        if not self.close(scaled, -2.0 * once):
            raise GradcheckError(
                "backward is not linear in the gradients of the outputs: for -2 times a gradient it does not give -2 "
                "times what it gave. Look for abs, a sign, a clamp, a norm or a constant in what it does to grad_output"
            )
        if first is not None and not self.close(first, once):
            raise _misread("non-contiguous", strided, first, once)
        return once

    def expanded(self, v: Array) -> Array | None:
        """Return what backward makes of gradients of one number for each output, expanded: the first of v in each.

        None where the outputs are single numbers, and where it raises because it writes into the gradients, which is
        noted in the log.
        """
        strided = self.cotangents(v, _expanded)
        return None if all(g.is_contiguous() for g in strided) else self._in_layout("expanded", strided)

    def first_numbers(self, v: Array) -> Array:
        """The first of the numbers of each output in place of all of them; of complex ones, the first two in turn."""
        found = np.empty_like(v)
        for rows, output in zip(self.rows, self.outputs, strict=True):
            width = 2 if output.is_complex() else 1
            found[rows].reshape(-1, width)[...] = v[rows].reshape(-1, width)[:1]
        return found

    def require_expanded(self, v: Array, found: Array | None = None) -> None:
        """Backward makes of such gradients what it makes of their contiguous copies; raises GradcheckError.

        Parameters
        ----------
        found : what it made of them, as ``expanded`` gave it.
        """
        found = self.expanded(v) if found is None else found
        if found is None:
            return
        strided = self.cotangents(self.first_numbers(v), _expanded)
        plain = self.passed(self.outputs, [g.contiguous() for g in strided])
        if not self.close(found, plain):
            raise _misread("expanded", strided, found, plain)

    def _in_layout(self, name: str, strided: Sequence[torch.Tensor]) -> Array | None:
        try:
            return self.passed(self.outputs, strided)
        except GradcheckError:
            raise
        except Exception as error:
            if all(g.is_contiguous() for g in strided):
                raise
            self.passed(self.outputs, [g.contiguous() for g in strided])  # what raises here, too, is not the layout's
            log.warning("backward raises on gradients of the outputs that are %s in memory (%s): it may write into "
                        "them or ask for a view; a sum or a transpose after it hands such gradients to it", name,
                        in_short(error))
            return None

    def jacobian(self, measured_unit: Callable[[], float] = float) -> Array:
        """Return the Jacobian (M, n), batched where backward allows it.

        Parameters
        ----------
        measured_unit : the unit roundoff that the function is found to work in; asked where that of its tensors seems
            not to be it.

        Raises
        ------
        GradcheckError : if backward gives two answers to one question, or is not linear.
        """
        v = np.random.default_rng(1).uniform(0.5, 1.5, self.rows[-1].stop)
        once = self.probed(v)
        found = np.empty((v.size, once.size))
        if v.size == 1:
            found[0] = once / v[0]
            return found
        for rows in (self._batched_rows, self._single_rows) if v.size > FEW else (self._single_rows,):
            try:
                with quiet():
                    rows(found)
            except Exception:
                # A backward that cannot be batched is asked row by row; there the error is its own.
                if rows == self._single_rows:
                    raise
                continue
            if self._adds_up(found, v, once, AGREE, 0.0):
                return found
        if replace(self, unit=max(self.unit, measured_unit()))._adds_up(found, v, once, AGREE, 0.0):
            return found
        second = np.empty_like(found)
        self._single_rows(second)
        third = np.empty_like(found)
        self._single_rows(third)
        self._require_same(second, third)
        if self._adds_up(second, v, once):
            return second
        several = "; and for what it does where the gradient of one of them is None" if len(self.outputs) > 1 else ""
        raise GradcheckError(
            "backward is not linear in the gradients of the outputs: for several at once it gives another answer than "
            "the sum over each of them. Look for a maximum, a median, a norm or a sorting of grad_output in backward"
            f"{several}"
        )

    def _adds_up(
        self, found: Array, v: Array, once: Array, agree: float = MISTAKEN, floor: float = FLOOR
    ) -> bool:
        """Tell whether the rows of a Jacobian, weighted and added, are what a single backward pass gave."""
        with np.errstate(all="ignore"):
            sizes = np.abs(v) @ np.abs(found)
            if not np.isfinite(sizes).all():
                return True  # judged where it is compared, with its place
            return self.close(v @ found, once, sizes, agree, floor)

    def _batched_rows(self, out: Array) -> None:
        for rows, output in zip(self.rows, self.outputs, strict=True):
            count = numbers_in(output)
            step = max(1, BATCH_BYTES // max(1, output.element_size() * max(count, *(i.numel() for i in self.inputs))))
            for start in range(0, count, step):
                some = min(step, count - start)
                eye = _shaped(torch.from_numpy(np.eye(some, count, start)), output, some)
                found = torch.autograd.grad(output, self.inputs, eye, retain_graph=True, allow_unused=True,
                                            is_grads_batched=True)
                first, column = rows.start + start, 0
                for gradient, given in zip(found, self.inputs, strict=True):
                    width = numbers_in(given)
                    block = out[first : first + some, column : column + width]
                    block[...] = 0.0 if gradient is None else vector(_as(gradient, given)).reshape(some, width)
                    column += width

    def _single_rows(self, out: Array) -> None:
        for rows, output in zip(self.rows, self.outputs, strict=True):
            one = torch.zeros_like(output.detach(), memory_format=torch.contiguous_format)
            numbers = (torch.view_as_real(one) if one.is_complex() else one).view(-1)
            for row in range(numbers.numel()):
                numbers.zero_()  # backward may have written into it
                numbers[row] = 1.0
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
    found: list[Array] = []
    for gradient, given in zip(gradients, inputs, strict=True):
        if gradient is None:
            found.append(np.zeros(numbers_in(given)))
            continue
        if gradient.shape != given.shape:
            raise GradcheckError(f"Analytical gradient has incorrect size: {tuple(gradient.shape)} for an input of "
                                 f"{tuple(given.shape)}")
        found.append(vector(_as(gradient, given)))
    return found[0].copy() if len(found) == 1 else np.concatenate(found)  # backward may write to its memory


def _as(gradient: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """Return a gradient as dense, and complex where its input is."""
    dense = gradient.to_dense() if gradient.layout != torch.strided else gradient
    return dense.to(given.dtype) if given.is_complex() and not dense.is_complex() else dense


def _strided(g: torch.Tensor) -> torch.Tensor:
    """The same numbers, the first axis the fastest in memory, with NaN in between: no view of it has one axis."""
    axes = tuple(reversed(range(g.ndim)))
    wide = g.new_full((*reversed(g.shape), 2), torch.nan)
    strided = wide[..., 0].permute(axes)
    return strided.copy_(g)


def _copied(numbers: Array) -> torch.Tensor:
    """A tensor of its own: backward may write to it."""
    return torch.from_numpy(numbers.copy())


def _shaped(new: torch.Tensor, output: torch.Tensor, *batch: int) -> torch.Tensor:
    """Real numbers as a gradient of an output, or as a batch of them."""
    if output.is_complex():
        new = torch.view_as_complex(new.reshape((*batch, *output.shape, 2)))
    return new.reshape((*batch, *output.shape)).to(output.device, output.dtype)


def _expanded(g: torch.Tensor) -> torch.Tensor:
    """Return the first number, expanded to all places."""
    return g.view(-1)[0].expand(g.shape) if g.numel() else g


def _misread(name: str, strided: Sequence[torch.Tensor], found: Array, plain: Array) -> GradcheckError:
    with np.errstate(all="ignore"):
        off = float(np.nanmax(np.abs(found - plain), initial=0.0))
    return GradcheckError(
        "backward reads the memory of grad_output as if it were contiguous: for a gradient of the output that is "
        f"{name} (strides {strided[0].stride()}) it gives another answer than for its contiguous copy, by {off:.3g}. "
        "Call grad_output.contiguous() first, or heed its strides"
    )
