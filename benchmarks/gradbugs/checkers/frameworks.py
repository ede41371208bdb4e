"""The frameworks' own checkers: torch.autograd.gradcheck, slow and fast, and jax.test_util.check_grads.

A program in NumPy is wrapped the way their documentation shows: a custom Function, a custom_vjp with pure_callback.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..subjects import Cost, Dense, JaxFunction, Layer, Subject, TorchFunction, TorchModule, Version
from .answer import Answer
from .scalar import floating, scalar_problem


def torch_gradcheck(subject: Subject, version: Version, fast: bool = False) -> Answer:
    """torch.autograd.gradcheck with its defaults."""
    from torch.autograd.gradcheck import GradcheckError, gradcheck

    if isinstance(subject, JaxFunction):
        return Answer("cannot")
    function, inputs = _for_torch(subject, version)
    try:
        gradcheck(function, inputs, fast_mode=fast)
    except GradcheckError as error:
        return Answer("wrong", str(error))
    return Answer("right")


def jax_check_grads(subject: Subject, version: Version) -> Answer:
    """jax.test_util.check_grads of first order in reverse mode, with its defaults."""
    import jax
    from jax.test_util import check_grads

    if isinstance(subject, TorchFunction | TorchModule):
        return Answer("cannot")
    with jax.enable_x64(True):
        function, arguments = _for_jax(subject, version)
        try:
            check_grads(function, arguments, order=1, modes=("rev",))
        except AssertionError as error:
            return Answer("wrong", str(error))
    return Answer("right")


def _for_torch(subject: Subject, version: Version) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    if isinstance(subject, TorchFunction):
        return getattr(subject, version), subject.inputs()
    if isinstance(subject, TorchModule):
        return _module_as_function(subject, version)
    forward, backward, inputs = _plain(subject, version)
    import torch

    class FromNumPy(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            return _tensors(forward(*[t.detach().numpy() for t in tensors]))

        @staticmethod
        def backward(ctx: Any, *upstream: Any) -> Any:
            given = tuple(u.numpy() for u in upstream)
            found = backward(given if len(given) > 1 else given[0], *[t.detach().numpy() for t in ctx.saved_tensors])
            return tuple(torch.from_numpy(np.array(g)) for g in found)

    moved = tuple(torch.tensor(np.asarray(value), requires_grad=True) for value in inputs)
    return FromNumPy.apply, moved


def _tensors(outputs: Any) -> Any:
    import torch

    if isinstance(outputs, tuple):
        return tuple(torch.from_numpy(np.array(output)) for output in outputs)
    return torch.from_numpy(np.array(outputs))


def _module_as_function(subject: TorchModule, version: Version) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    from torch.func import functional_call

    module, (inputs, targets) = subject.make(version), subject.data()
    names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    moved = tuple(
        parameter.detach().clone().requires_grad_() for parameter in module.parameters() if parameter.requires_grad
    )
    return lambda *given: subject.loss(
        functional_call(module, dict(zip(names, given, strict=True)), inputs), targets
    ), moved


def _for_jax(subject: Subject, version: Version) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    import jax

    if isinstance(subject, JaxFunction):
        return getattr(subject, version), subject.arguments()
    forward, backward, inputs = _plain(subject, version)
    outputs = jax.tree.map(lambda out: jax.ShapeDtypeStruct(np.shape(out), np.asarray(out).dtype), forward(*inputs))
    shapes = tuple(jax.ShapeDtypeStruct(np.shape(value), np.asarray(value).dtype) for value in inputs)

    def called(*given: Any) -> Any:
        return jax.tree.map(np.asarray, forward(*[np.asarray(value) for value in given]))

    @jax.custom_vjp
    def function(*given: Any) -> Any:
        return jax.pure_callback(called, outputs, *given)

    def pulled(upstream: Any, *given: Any) -> Any:
        found = backward(jax.tree.map(np.asarray, upstream), *[np.asarray(value) for value in given])
        return tuple(np.asarray(g) for g in found)

    function.defvjp(
        lambda *given: (function(*given), given),
        lambda given, upstream: tuple(jax.pure_callback(pulled, shapes, upstream, *given)),
    )
    return function, inputs


def _plain(
    subject: Layer | Cost | Dense, version: Version
) -> tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]:
    """forward(*floating arrays), backward(upstream, *floating arrays) -> a tuple, and the arrays."""
    if not isinstance(subject, Layer):
        problem = scalar_problem(subject, version)
        return (
            lambda *arrays: np.array(problem.cost(arrays)),
            lambda upstream, *arrays: tuple(upstream * np.asarray(g) for g in problem.gradients),
            tuple(problem.arrays),
        )
    inputs = subject.inputs()
    moved = [number for number, value in enumerate(inputs) if floating(value)]

    def completed(arrays: Any) -> list[Any]:
        given = list(inputs)
        for number, array in zip(moved, arrays, strict=True):
            given[number] = array
        return given

    def backward(upstream: Any, *arrays: Any) -> tuple[Any, ...]:
        found = getattr(subject, version)(upstream, *completed(arrays))
        gradients = found if isinstance(found, tuple) else (found,)
        return tuple(gradients[number] for number in moved) if len(gradients) == len(inputs) else gradients

    return lambda *arrays: subject.forward(*completed(arrays)), backward, tuple(inputs[number] for number in moved)


fast_gradcheck = partial(torch_gradcheck, fast=True)
