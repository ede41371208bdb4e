"""Checkers of a cost and its gradient vector: the textbook's loop, SciPy's check_grad, and allclose to a reference."""

import numpy as np

from ..subjects import Layer, Subject, TorchFunction, TorchModule, Version
from .answer import Answer
from .scalar import as_numpy, scalar_problem, upstream_of, zero_or

# The course's step and limit.
EPSILON, LIMIT = 1e-7, 1e-7
# The error that SciPy's own documentation calls small is some 1e-8; people assert less than 1e-6 of the gradient.
SCIPY_LIMIT = 1e-6
# (rtol, atol): NumPy's defaults in double precision, else what public tests of kernels use (flash-attention, Liger).
USUAL = {"float64": (1e-5, 1e-8), "float32": (1e-4, 1e-5), "bfloat16": (2e-2, 2e-2), "float16": (1e-2, 1e-2)}


def textbook_loop(subject: Subject, version: Version) -> Answer:
    """Move one entry at a time by 1e-7, and hold ||grad - gradapprox|| / (||grad|| + ||gradapprox||) against 1e-7."""
    problem = scalar_problem(subject, version)
    theta, grad = problem.theta, problem.gradient
    approx = np.empty(theta.size)
    for entry in range(theta.size):
        plus, minus = theta.copy(), theta.copy()
        plus[entry] += EPSILON
        minus[entry] -= EPSILON
        approx[entry] = (problem.at(plus) - problem.at(minus)) / (2 * EPSILON)
    difference = np.linalg.norm(grad - approx) / (np.linalg.norm(grad) + np.linalg.norm(approx))
    return Answer("wrong" if difference > LIMIT else "right", f"difference {difference:.3g}")


def scipy_check_grad(subject: Subject, version: Version) -> Answer:
    """scipy.optimize.check_grad, asserted to be below a millionth of the gradient's norm, or of 1."""
    from scipy.optimize import check_grad

    problem = scalar_problem(subject, version)
    error = check_grad(problem.at, lambda theta: problem.gradient, problem.theta)
    limit = SCIPY_LIMIT * max(1.0, float(np.linalg.norm(problem.gradient)))
    return Answer("right" if error <= limit else "wrong", f"error {error:.3g}")


def allclose(subject: Subject, version: Version) -> Answer:
    """numpy.allclose to the right program's gradient in double precision, with the tolerances of its precision."""
    found = scalar_problem(subject, version).gradients
    reference = _reference(subject)
    rtol, atol = USUAL[_precision(subject)]
    agree = [np.allclose(a, b, rtol=rtol, atol=atol) for a, b in zip(found, reference, strict=True)]
    return Answer("right" if all(agree) else "wrong", "", tuple(str(n) for n, same in enumerate(agree) if not same))


def _precision(subject: Subject) -> str:
    if isinstance(subject, Layer):
        dtypes = [np.asarray(value).dtype for value in subject.inputs()]
        return min((d.name for d in dtypes if d.kind == "f"), key=["float16", "float32", "float64"].index)
    if isinstance(subject, TorchFunction):
        return str(next(t.dtype for t in subject.inputs() if getattr(t, "requires_grad", False))).removeprefix("torch.")
    if isinstance(subject, TorchModule):
        return str(next(subject.make("right").parameters()).dtype).removeprefix("torch.")
    return "float64"


def _reference(subject: Subject) -> list[np.ndarray]:
    """The right program's gradients in double precision."""
    if isinstance(subject, TorchFunction):
        return _torch_reference(subject)
    if isinstance(subject, TorchModule):
        import torch

        module, (inputs, targets) = subject.make("right").double(), subject.data()
        wide = [x.double() if torch.is_tensor(x) and x.is_floating_point() else x for x in (inputs, targets)]
        parameters = [p for p in module.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(subject.loss(module(wide[0]), wide[1]), parameters, allow_unused=True)
        return [zero_or(g, p) for g, p in zip(gradients, parameters, strict=True)]
    return scalar_problem(subject, "right").gradients


def _torch_reference(subject: TorchFunction) -> list[np.ndarray]:
    import torch

    given = [t.detach().double().requires_grad_(t.requires_grad) if torch.is_tensor(t) and t.is_floating_point() else t
             for t in subject.inputs()]
    moved = [t for t in given if torch.is_tensor(t) and t.requires_grad]
    outputs = subject.reference(*given)
    parts = outputs if isinstance(outputs, tuple) else (outputs,)
    upstream = upstream_of(tuple(as_numpy(part) for part in parts))
    gradients = torch.autograd.grad(parts, moved, [torch.from_numpy(np.asarray(u)) for u in upstream],
                                    allow_unused=True)
    return [zero_or(g, t) for g, t in zip(gradients, moved, strict=True)]
