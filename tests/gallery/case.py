"""What a case of the gallery is: a layer or a model, its backward pass, and mistakes that people make in it."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastcheck as fc

Backward = Callable[..., Any]
# A mistake's sentence, the backward pass that makes it, and the tensors that it spoils, separated by blanks.
Mistakes = dict[str, tuple[Backward, str]]


@dataclass(frozen=True)
class Layer:
    """Any forward(*inputs) -> array or tuple, with backward(cotangents, *inputs) -> gradients of the floating inputs.

    ``analytic`` is the same forward written without conjugates, absolute values and the like, so that it takes complex
    inputs; None where ``forward`` itself does.
    """

    name: str
    forward: Callable[..., Any]
    backward: Backward
    inputs: tuple[Any, ...]
    wrong: Mistakes
    analytic: Callable[..., Any] | None = None

    @property
    def tensors(self) -> dict[str, Any]:
        """The inputs that are differentiated, by name."""
        names = list(inspect.signature(self.forward).parameters)
        return {name: value for name, value in zip(names, self.inputs, strict=False)
                if np.asarray(value).dtype.kind == "f"}

    def call(self, function: Callable[..., Any], tensors: dict[str, Any]) -> tuple[Any, ...]:
        """The outputs of a forward with some inputs replaced."""
        names = list(inspect.signature(self.forward).parameters)
        values = [tensors.get(name, value) for name, value in zip(names, self.inputs, strict=False)]
        outputs = function(*values)
        return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)

    def gradients(self, backward: Backward, cotangents: tuple[Any, ...]) -> dict[str, Any]:
        """What a backward pass gives for cotangents of every output."""
        one = not isinstance(self.forward(*self.inputs), (tuple, list))
        found = backward(cotangents[0] if one else cotangents, *self.inputs)
        values = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(values) == len(self.inputs):
            values = [value for value, given in zip(values, self.inputs, strict=True)
                      if np.asarray(given).dtype.kind == "f"]
        return dict(zip(self.tensors, values, strict=True))

    def check(self, backward: Backward, **options: Any) -> fc.Report:
        return fc.check_vjp(self.forward, backward, self.inputs, **options)


@dataclass(frozen=True)
class Model:
    """Any cost(parameters, *args) -> number, with gradient(parameters, *args) -> dictionary; see Layer."""

    name: str
    forward: Callable[..., Any]
    backward: Backward
    parameters: dict[str, Any]
    args: tuple[Any, ...]
    wrong: Mistakes
    analytic: Callable[..., Any] | None = None

    @property
    def tensors(self) -> dict[str, Any]:
        """The parameters by name."""
        return self.parameters

    def call(self, function: Callable[..., Any], tensors: dict[str, Any]) -> tuple[Any, ...]:
        """The cost with some parameters replaced."""
        return (function({**self.parameters, **tensors}, *self.args),)

    def gradients(self, backward: Backward, cotangents: tuple[Any, ...]) -> dict[str, Any]:
        """What a backward pass gives, times the cost's cotangent."""
        found = backward(self.parameters, *self.args)
        return {name: cotangents[0] * found[name] for name in self.parameters}

    def check(self, backward: Backward, **options: Any) -> fc.Report:
        return fc.check_function(self.forward, self.parameters, backward(self.parameters, *self.args), self.args,
                                 **options)


Case = Layer | Model


def cached(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward that returns (out, cache), as check_vjp takes it: without the cache."""

    @functools.wraps(forward)
    def plain(*inputs: Any) -> Any:
        return forward(*inputs)[0]

    return plain


def with_cache(forward: Callable[..., Any], backward: Callable[..., Any], **switches: Any) -> Backward:
    """A backward(dout, cache) as check_vjp takes it, with a cache made from the inputs; ``switches`` plant mistakes."""

    def plain(dout: Any, *inputs: Any) -> Any:
        return backward(dout, forward(*inputs)[1], **switches)

    return plain


def changed(backward: Backward, place: int, how: Callable[[Any], Any]) -> Backward:
    """A backward whose gradient number ``place`` is spoiled."""

    def spoiled(*arguments: Any) -> list[Any]:
        found = backward(*arguments)
        gradients = list(found) if isinstance(found, (tuple, list)) else [found]
        gradients[place] = how(gradients[place])
        return gradients

    return spoiled


def changed_in(backward: Backward, name: str, how: Callable[[Any], Any]) -> Backward:
    """A gradient dictionary in which one entry is spoiled."""

    def spoiled(*arguments: Any) -> dict[str, Any]:
        gradients = dict(backward(*arguments))
        gradients[name] = how(gradients[name])
        return gradients

    return spoiled
