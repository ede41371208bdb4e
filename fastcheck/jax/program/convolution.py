"""Convolutions: (x + dx) * (k + dk) - x * k = dx * k + x * dk + dx * dk.

The last term has another input and another kernel in every perturbation, for which compiled convolutions take some
hundred times as long as a product of matrices over the kernels' offsets.
"""

import itertools
import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from .call import Call, bilinear

# Kernels of this many offsets or fewer are summed offset by offset.
OFFSETS = 256


def convolution(call: Call) -> Any:
    """Convolutions of any number of axes, strided, dilated, transposed and grouped."""
    (dx, dk), params = call.changes, call.params
    size = math.prod(call.values[1].shape[axis] for axis in params["dimension_numbers"].rhs_spec[2:])
    if dx is None or dk is None or params["batch_group_count"] != 1 or size > OFFSETS:
        return bilinear(call)
    return call.again(dx, call.values[1]) + call.again(call.values[0], dk) + by_offsets(dx, dk, call)


def by_offsets(x: Any, kernel: Any, call: Call) -> Any:
    """Return the convolution as a product over the kernel's offsets and the channels."""
    params, dimensions = call.params, call.params["dimension_numbers"]
    x, kernel = jnp.transpose(x, dimensions.lhs_spec), jnp.transpose(kernel, dimensions.rhs_spec)
    lengths = [call.out.shape[axis] for axis in dimensions.out_spec[2:]]
    groups, sizes = params["feature_group_count"], kernel.shape[2:]
    spread = [(low, high, dilation - 1)
              for (low, high), dilation in zip(params["padding"], params["lhs_dilation"], strict=True)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *spread])
    strides, dilations = params["window_strides"], params["rhs_dilation"]
    views = []
    for offset in itertools.product(*map(range, sizes)):
        start = [o * dilation for o, dilation in zip(offset, dilations, strict=True)]
        stop = [s + (length - 1) * stride + 1 for s, length, stride in zip(start, lengths, strides, strict=True)]
        views.append(lax.slice(x, (0, 0, *start), (*x.shape[:2], *stop), (1, 1, *strides)))
    rows = jnp.stack(views, axis=2)  # (N, C, offsets, *lengths)
    rows = rows.reshape((x.shape[0], groups, -1, len(views), math.prod(lengths)))
    kernel = kernel.reshape((groups, kernel.shape[0] // groups, -1, len(views)))
    found = jnp.einsum("ngckp,gock->ngop", rows, kernel).reshape((x.shape[0], -1, *lengths))
    back = sorted(range(found.ndim), key=lambda axis: dimensions.out_spec[axis])
    return jnp.transpose(found, back)
