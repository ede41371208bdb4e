"""What autograd says: Jacobians from backward and forward mode, in batches where a function allows it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from .._types import Array
from .function import Tensors, TorchFunction, as_tuple, quiet, theirs, unit_of, vector

# Bytes of cotangents handed to one batched backward pass.
BATCH_BYTES = 1 << 24
# Relative difference of two ways to one product, in units of the precision, that is still rounding.
SAME = 1e6
KEPT = "the function keeps this input itself instead of using what it is called with"


def backward_jacobian(outputs: Tensors, inputs: Tensors, nondet_tol: float, dtypes: bool) -> Array:
    """The Jacobian (M, n) by backward passes, batched where the function allows it.

    Raises
    ------
    GradcheckError : if backward gives two answers to one question, is not linear, or, where ``dtypes`` asks for it,
        gives gradients of another dtype.
    """
    v = np.random.default_rng(1).uniform(0.5, 1.5, sum(o.numel() for o in outputs))
    once, again = product(outputs, inputs, v, dtypes), product(outputs, inputs, v)
    _require_same(once, again, nondet_tol)
    unit = max(unit_of(t) for t in (*outputs, *inputs))
    found = np.empty((v.size, once.size))
    if v.size == 1:
        found[0] = once / v[0]
        return found
    for rows in (_batched_rows, _single_rows):
        try:
            with quiet():
                rows(outputs, inputs, found)
        except Exception:
            # A backward that cannot be batched is asked row by row; there the error is its own.
            if rows is _single_rows:
                raise
            continue
        if _like(found, v, once, SAME * unit, nondet_tol):
            return found
    _single_rows(outputs, inputs, second := np.empty_like(found))
    _require_same(found, second, nondet_tol)
    raise GradcheckError(
        "backward is not linear in the gradients of the outputs: for several at once it gives another answer than the "
        "sum over each of them. Look for a sign, a clamp, a norm or an in-place change of grad_output in backward"
    )


def _like(found: Array, v: Array, once: Array, share: float, nondet_tol: float) -> bool:
    """Whether a Jacobian gives the product that a single backward pass gave."""
    with np.errstate(all="ignore"):
        if not np.isfinite(found).all():
            return True  # judged where it is compared, with its place
        off, size = np.abs(v @ found - once), v @ np.abs(found)
    return bool((off <= share * size + nondet_tol * v.sum() + 1e-300).all())


def product(outputs: Tensors, inputs: Tensors, v: Array, dtypes: bool = False) -> Array:
    """v @ Jacobian (n,) by one backward pass."""
    cotangents, start = [], 0
    for output in outputs:
        part = torch.from_numpy(v[start : start + output.numel()].copy()).reshape(output.shape)
        cotangents.append(part.to(output.device, output.dtype))
        start += output.numel()
    found = torch.autograd.grad(outputs, inputs, cotangents, retain_graph=True, allow_unused=True)
    for gradient, given in zip(found, inputs, strict=True):
        if dtypes and gradient is not None and gradient.dtype != given.dtype:
            raise GradcheckError("Gradient has dtype mismatch")
        if gradient is not None and gradient.shape != given.shape:
            raise GradcheckError(f"Analytical gradient has incorrect size: {tuple(gradient.shape)} for an input of "
                                 f"{tuple(given.shape)}")
    return _laid_out(found, inputs)


def _laid_out(gradients: Sequence[torch.Tensor | None], inputs: Tensors) -> Array:
    """Gradients end to end; zeros for None."""
    return np.concatenate([
        np.zeros(i.numel() * (2 if i.is_complex() else 1)) if g is None else vector(_as(g, i))
        for g, i in zip(gradients, inputs, strict=True)
    ])


def _as(gradient: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """A gradient as dense, and complex where its input is."""
    dense = gradient.to_dense() if gradient.layout != torch.strided else gradient
    return dense.to(given.dtype) if given.is_complex() and not dense.is_complex() else dense


def _batched_rows(outputs: Tensors, inputs: Tensors, out: Array) -> None:
    first = 0
    for output in outputs:
        count = output.numel()
        step = max(1, BATCH_BYTES // max(1, output.element_size() * max(count, sum(i.numel() for i in inputs))))
        for start in range(0, count, step):
            rows = min(step, count - start)
            eye = output.new_zeros((rows, count))
            eye[torch.arange(rows), torch.arange(start, start + rows)] = 1.0
            found = torch.autograd.grad(output, inputs, eye.reshape(rows, *output.shape), retain_graph=True,
                                        allow_unused=True, is_grads_batched=True)
            column = 0
            for gradient, given in zip(found, inputs, strict=True):
                width = given.numel() * (2 if given.is_complex() else 1)
                block = out[first + start : first + start + rows, column : column + width]
                block[...] = 0.0 if gradient is None else vector(_as(gradient, given)).reshape(rows, width)
                column += width
        first += count


def _single_rows(outputs: Tensors, inputs: Tensors, out: Array) -> None:
    first = 0
    for output in outputs:
        one = torch.zeros_like(output, memory_format=torch.contiguous_format)
        for row in range(output.numel()):
            one.view(-1)[row] = 1.0
            out[first + row] = _laid_out(
                torch.autograd.grad(output, inputs, one, retain_graph=True, allow_unused=True), inputs)
            one.view(-1)[row] = 0.0
        first += output.numel()


def _require_same(first: Array, second: Array, nondet_tol: float) -> None:
    with np.errstate(all="ignore"):  # what is not finite is judged where it is compared
        off = float(np.max(np.abs(first - second), initial=0.0))
    if off > nondet_tol:
        raise GradcheckError(
            "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
            f"different values: they differ by {off:.3g}, and nondet_tol is {nondet_tol:g}"
        )


def forward_jacobian(
    call: Callable[..., Any], inputs: tuple[Any, ...], outputs: tuple[Any, ...], places: Sequence[int],
    kept: Sequence[int],
) -> Array:
    """The Jacobian (M, n) by forward mode, column by column (torch's own)."""
    moved = [inputs[k] for k in places]
    if not any(i.is_complex() for i in moved):
        columns = _real_columns(theirs._get_analytical_jacobian_forward_ad(call, inputs, outputs))
        return np.concatenate(columns, axis=1)[_rows_of(outputs, kept)]
    real, imaginary = (_real_columns(theirs._get_analytical_jacobian_forward_ad(part, values, outputs))
                       for part, values in halves(call, inputs))
    joined = [np.stack([r, i], axis=2).reshape(r.shape[0], -1) if given.is_complex() else r
              for r, i, given in zip(real, imaginary, moved, strict=True)]
    return np.concatenate(joined, axis=1)[_rows_of(outputs, kept)]


def halves(call: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
    """The function of the real parts of its complex inputs, and of the imaginary parts."""
    where = [k for k, i in enumerate(inputs) if isinstance(i, torch.Tensor) and i.is_complex()]
    functions = theirs._real_and_imag_input(call, where, inputs)
    for function, name in zip(functions, ("real", "imag"), strict=True):
        yield function, tuple(
            getattr(i, name).detach().clone().requires_grad_(i.requires_grad) if k in where else i
            for k, i in enumerate(inputs))


def _real_columns(jacobians: Any) -> list[Array]:
    """Per input (M, n): outputs end to end, complex ones as pairs."""
    return [np.concatenate([_both(j) for j in of_outputs], axis=0) for of_outputs in jacobians]


def _both(jacobian: torch.Tensor) -> Array:
    """(n, m) of torch as (m, n) or, for complex outputs, (2 m, n)."""
    if not jacobian.is_complex():
        return jacobian.detach().to("cpu", torch.float64).numpy().T
    pairs = torch.view_as_real(jacobian.detach().resolve_conj()).to("cpu", torch.float64).numpy()
    return np.asarray(pairs.reshape(jacobian.shape[0], -1).T)


def _rows_of(outputs: tuple[Any, ...], kept: Sequence[int]) -> Any:
    """Places of the outputs that have gradients among the numbers of all."""
    sizes = [o.numel() * (2 if o.is_complex() else 1) for o in outputs
             if isinstance(o, torch.Tensor) and (o.is_floating_point() or o.is_complex())]
    stops = np.cumsum([0, *sizes])
    return np.concatenate([np.arange(stops[k], stops[k + 1]) for k in kept])


def find_kept(
    function: TorchFunction, outputs: Tensors, real_outputs: Callable[[Any], Tensors], kept: Sequence[int]
) -> None:
    """Mark inputs that the function does not take from its arguments: clones of them get another gradient, or none."""
    clones = tuple(i.detach().clone().requires_grad_(i.requires_grad) if isinstance(i, torch.Tensor) else i
                   for i in function.inputs)
    v = np.random.default_rng(2).uniform(0.5, 1.5, sum(o.numel() for o in outputs))
    with torch.enable_grad():
        value = real_outputs(function.call(*clones))
    others = tuple(value[k] for k in kept)
    given = product(outputs, function.moving, v)
    if all(o.requires_grad for o in others):
        found = product(others, tuple(clones[k] for k in function.places), v)
    else:
        found = np.zeros_like(given)
    unit = max(unit_of(o) for o in outputs)
    for number, part in enumerate(function.parts):
        off = np.abs(given[part.span] - found[part.span])
        with np.errstate(all="ignore"):
            if np.any(off > SAME * unit * np.max(np.abs(given[part.span]), initial=0.0)):
                function.reasons[number] = KEPT


class Gradient:
    """The gradients of a function as a function of its inputs and cotangents: what is checked at order two."""

    def __init__(self, call: Callable[..., Any], inputs: tuple[Any, ...], cotangents: Tensors) -> None:
        self.call, self.count = call, len(inputs)
        self.wanted = [k for k, i in enumerate(inputs) if isinstance(i, torch.Tensor) and i.requires_grad]
        self.weights = [k for k, c in enumerate(cotangents) if c.requires_grad]
        self.unused: list[int] = []

    def __call__(self, *given: Any) -> Tensors:
        """Gradients that can be differentiated again."""
        inputs = tuple(i.requires_grad_() if k in self.wanted else i for k, i in enumerate(given[: self.count]))
        weights = tuple(w.requires_grad_() if k in self.weights else w for k, w in enumerate(given[self.count :]))
        outputs = theirs._differentiable_outputs(self.call(*inputs))
        found = torch.autograd.grad(outputs, tuple(inputs[k] for k in self.wanted), weights, create_graph=True,
                                    allow_unused=True)
        self.unused = [k for k, g in enumerate(found) if g is None]
        return tuple(g for g in found if g is not None)

    def functional(self, *given: Any) -> Tensors:
        """The same in terms that vmap takes."""
        inputs, weights = list(given[: self.count]), given[self.count :]

        def of_wanted(*values: torch.Tensor) -> Tensors:
            all_inputs = list(inputs)
            for place, value in zip(self.wanted, values, strict=True):
                all_inputs[place] = value
            return tuple(o for o in as_tuple(self.call(*all_inputs)) if o.is_floating_point() or o.is_complex())

        _, backward = torch.func.vjp(of_wanted, *(inputs[k] for k in self.wanted))
        found = backward(tuple(weights))
        return tuple(g for k, g in enumerate(found) if k not in self.unused)


def random_cotangents(call: Callable[..., Any], inputs: tuple[Any, ...], noncontiguous: bool) -> Tensors:
    """Random gradients of the outputs, that require gradients themselves; the caller's random state is left alone."""
    outputs = theirs._differentiable_outputs(call(*inputs))
    with torch.random.fork_rng():
        return tuple(
            torch.testing.make_tensor(
                o.shape, dtype=o.dtype if o.is_floating_point() or o.is_complex() else torch.double, device=o.device,
                low=-1, high=1, requires_grad=True, noncontiguous=noncontiguous)
            for o in outputs)
