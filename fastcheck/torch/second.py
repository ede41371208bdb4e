"""The gradients of a function as a function: what ``gradgradcheck`` checks."""

from collections.abc import Callable
from typing import Any

import torch

from ..problems.functions.calling import input_names
from .tensors import Tensors, as_tuple, random_numbers, requires_gradient


class Gradient:
    """The gradients of a function as a function of its inputs and of the gradients of its outputs.

    Parameters
    ----------
    call, inputs : the function and its inputs; gradients by those that require them.
    cotangents : gradients of its outputs that require gradients.
    """

    def __init__(self, call: Callable[..., Any], inputs: tuple[Any, ...], cotangents: Tensors) -> None:
        self.call, self.count, self.cotangents = call, len(inputs), len(cotangents)
        self.wanted = [k for k, i in enumerate(inputs) if requires_gradient(i)]
        self.weights = [k for k, c in enumerate(cotangents) if c.requires_grad]
        self.unused: list[int] = []
        self.outputs: list[int] = []

    def __call__(self, *given: Any) -> Tensors:
        """Gradients that can be differentiated again."""
        return self._gradients(given, create_graph=True)

    def values(self, *given: Any) -> Tensors:
        """Return the same gradients, without history."""
        return self._gradients(given, create_graph=False)

    def _gradients(self, given: tuple[Any, ...], *, create_graph: bool) -> Tensors:
        inputs = tuple(i.requires_grad_() if k in self.wanted else i for k, i in enumerate(given[: self.count]))
        weights = tuple(w.requires_grad_() if k in self.weights else w for k, w in enumerate(given[self.count :]))
        outputs = as_tuple(self.call(*inputs))
        self.outputs = [k for k, o in enumerate(outputs) if requires_gradient(o)]
        found = torch.autograd.grad(tuple(outputs[k] for k in self.outputs), tuple(inputs[k] for k in self.wanted),
                                    weights, create_graph=create_graph, allow_unused=True)
        self.unused = [k for k, g in enumerate(found) if g is None]
        return tuple(g for g in found if g is not None)

    def names(self) -> list[str]:
        """Return the names of the inputs, and of the gradients of the outputs."""
        return [*input_names(self.call, self.count), *(f"grad_output{k}" for k in range(self.cotangents))]

    def functional(self, *given: Any) -> Tensors:
        """Return the same in terms that vmap takes."""
        inputs, weights = list(given[: self.count]), given[self.count :]

        def of_wanted(*values: torch.Tensor) -> Tensors:
            all_inputs = list(inputs)
            for place, value in zip(self.wanted, values, strict=True):
                all_inputs[place] = value
            outputs = as_tuple(self.call(*all_inputs))
            return tuple(outputs[k] for k in self.outputs)

        _, backward = torch.func.vjp(of_wanted, *(inputs[k] for k in self.wanted))
        found = backward(tuple(weights))
        return tuple(g for k, g in enumerate(found) if k not in self.unused)


def random_cotangents(call: Callable[..., Any], inputs: tuple[Any, ...], noncontiguous: bool) -> Tensors:
    """Random gradients of the outputs, that require gradients themselves; the caller's random state is left alone."""
    outputs = [o for o in as_tuple(call(*inputs)) if requires_gradient(o)]
    found = []
    for number, output in enumerate(outputs):
        numbers = torch.from_numpy(random_numbers(number, output.numel() * (2 if output.is_complex() else 1)))
        new = (torch.view_as_complex(numbers.reshape(-1, 2)) if output.is_complex() else numbers).reshape(output.shape)
        new = new.to(output.device, output.dtype)
        found.append((torch.stack((new, new), dim=-1)[..., 0] if noncontiguous else new).requires_grad_())
    return tuple(found)
