"""A training step as it was before its forward pass, and the gradients that its backward pass left."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .._constants import UNIT_ROUNDOFF, UNIT_ROUNDOFFS
from .._types import Array
from .case import HALVES, Case, as_array, random_state
from .kept import copied_buffers

# Unit roundoff of TensorFloat-32: ten digits after the point.
TENSOR_FLOAT = 2.0**-11


@dataclass
class Armed:
    """What is kept from before the forward pass of a step that will be looked at.

    state : of the random generators.
    buffers : the module's, by name.
    gradients : what backward will add to: by name the tensor, and a copy of what it held.
    unit : the unit roundoff that the step is computed with.
    autocast : the type that the forward pass casts to; None for none.
    """

    state: Any
    buffers: dict[str, torch.Tensor]
    gradients: dict[str, tuple[torch.Tensor, torch.Tensor]]
    unit: float
    autocast: torch.dtype | None

    @property
    def overflows(self) -> bool:
        """Whether float16 is among what the step computes in, in which right gradients overflow."""
        return self.autocast == torch.float16 or self.unit == UNIT_ROUNDOFFS["float16"]

    @classmethod
    def of(cls, case: Case, coarse: float) -> "Armed":
        """Return what there is now; coarse is the unit roundoff of the module's own casts, 0.0 for none."""
        held = {name: (p.grad, p.grad.detach().clone()) for name, p in case.parameters.items() if p.grad is not None}
        device = device_of(case)
        casts = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        unit = unit_of_step(case.parameters, coarse, casts)
        return cls(random_state(), copied_buffers(case.plain), held, unit, casts)


def device_of(case: Case) -> str:
    """Return the kind of device on which the parameters are."""
    return next(iter(case.parameters.values())).device.type


def unit_of_step(parameters: Mapping[str, torch.Tensor], coarse: float, autocast: torch.dtype | None) -> float:
    """Return the largest unit roundoff that a step's gradients are computed with.

    Parameters
    ----------
    parameters : by name.
    coarse : that of the module's own casts, 0.0 for none.
    autocast : the type that the forward pass casts to; None for none.
    """
    types = [*(p.dtype for p in parameters.values()), *([] if autocast is None else [autocast])]
    units = [torch.finfo(dtype).eps / 2.0 for dtype in types]
    if torch.float32 in types:
        units.append(_unit_of_products(next(iter(parameters.values())).device.type))
    return max([coarse, UNIT_ROUNDOFF, *units])


def _unit_of_products(device: str) -> float:
    """Return the unit roundoff that matrix products and convolutions of float32 may have by PyTorch's settings."""
    allowed = torch.get_float32_matmul_precision()
    if allowed == "medium":
        return UNIT_ROUNDOFFS["bfloat16"]
    tensor_cores = device == "cuda" and torch.backends.cudnn.allow_tf32
    return TENSOR_FLOAT if allowed == "high" or tensor_cores else UNIT_ROUNDOFFS["float32"]


def candidates(case: Case, armed: Armed, scale: float) -> list[dict[str, Array]]:
    """Return what backward may have put into the gradients: all of them, or what it added to what was there."""
    whole: dict[str, Array] = {}
    added: dict[str, Array] = {}
    for name, parameter in case.parameters.items():
        gradient = parameter.grad
        whole[name] = np.zeros(tuple(parameter.shape)) if gradient is None else _divided(gradient, scale)
        tensor, before = armed.gradients.get(name, (None, None))
        if gradient is not None and gradient is tensor and before is not None:
            added[name] = _divided(gradient.to(torch.float64) - before.to(torch.float64), scale).astype(
                whole[name].dtype)
    return [whole, {**whole, **added}] if added else [whole]


def _divided(gradient: torch.Tensor, scale: float) -> Array:
    found = as_array(gradient.to(torch.float32) if gradient.dtype in HALVES else gradient)
    return found if scale == 1.0 else np.asarray(found / found.dtype.type(scale))


def finite(gradients: dict[str, Array]) -> bool:
    """Tell whether all gradients are numbers."""
    return all(np.isfinite(gradient).all() for gradient in gradients.values())


def copied(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies of tensors, by name."""
    return {name: tensor.clone() for name, tensor in tensors.items()}
