"""The front door for layers that are classes: check_layer."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

from .._names import FunctionOptions
from ..report.report import Report
from .function import check_vjp


def check_layer(
    make: Any,
    inputs: Any,
    *,
    forward: "str | Callable[..., Any]" = "forward",
    backward: "str | Callable[..., Any]" = "backward",
    params: "str | Sequence[str] | None" = None,
    grads: str | None = None,
    epsilon: float | None = None,
    seed: int = 0,
    **options: Unpack[FunctionOptions],
) -> Report:
    """Check the backward pass of a layer that is a class: the gradients of its inputs and of its parameters.

    Every run has a layer of its own, so that nothing which one run leaves behind reaches another.

    Parameters
    ----------
    make : a class or function that makes the layer, ``lambda: Affine(W, b)``; or a layer, which is copied for each run.
    inputs : tuple of arrays (or one array) that forward takes; integer ones are passed on and not checked.
    forward : the method's name, or a function of the layer and the inputs.
    backward : the method's name, or a function of the layer and the gradient of its output.  It returns the gradients
        of the inputs: one, or a tuple, or a dictionary by their names.
    params : the attribute that holds the parameters, a dictionary or list; or the names of single attributes.  None to
        look where layers keep them: in ``params`` and the like, in attributes beside whose names there are gradients
        (W and dW, grad_W or W_grad), in objects with ``data`` and ``grad``, in the layers that a layer holds.
    grads : the attribute that holds the gradients after backward; None to look for them likewise.  They may be added
        to what was there before.
    epsilon, seed, options : as in ``check_vjp``.

    Returns
    -------
    Report : one tensor for each floating input, and for each parameter.

    Raises
    ------
    ValueError, TypeError : for a layer without such methods, parameters or gradients, by name.

    Examples
    --------
    >>> import numpy as np
    >>> class Affine:
    ...     def __init__(self, W, b):
    ...         self.W, self.b = W, b
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.W + self.b
    ...     def backward(self, d):
    ...         self.dW, self.db = self.x.T @ d, d.sum(axis=0)
    ...         return d @ self.W.T
    >>> layer = Affine(np.arange(6.0).reshape(3, 2), np.ones(2))
    >>> report = check_layer(layer, np.eye(4, 3))
    >>> report.verdict, [tensor.name for tensor in report.tensors]
    ('pass', ['x', 'W', 'b'])
    """
    from ..problems.functions.layer_calls import LayerCalls  # imported where used, as the engines are

    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    calls = LayerCalls(make, given, forward, backward, params, grads)
    report = check_vjp(
        calls.forward_of, calls.backward_of, calls.values, names=calls.names, epsilon=epsilon, seed=seed, **options
    )
    return report.noted(*calls.notes) if calls.notes else report
