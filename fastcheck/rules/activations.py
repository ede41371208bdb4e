"""Activations: value, derivative and exact difference, one entry each.

The difference ``D(z, d) = g(z + d) - g(z)`` is computed by an identity that does not cancel, so that it keeps its
digits however small ``d`` is.  To add an activation, write these functions, here or in a file of ``kernels``, and one
entry in ``ACTIVATIONS``; the engines and the tests find it there.

The scalar functions use only ``math`` and each other: they run as plain Python and are compiled where used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import Array
from .kernels import curves, pieces, softmax

# The modules whose functions are compiled together with those of this file.
FAMILIES = (pieces, curves, softmax)


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Parameters
    ----------
    name : the name users write.
    value : g(z) for arrays; also compiled for scalars unless ``scalar`` is given.
    derivative : g'(z) for arrays, accurate where the unit is saturated.
    difference : D(z, d) for scalars; for softmax (``elementwise`` false) D(p, d, out) for one column.
    breakpoints : where the function is not analytic.
    linear : straight between its breakpoints.
    scalar : g(z) for a scalar, where ``value`` cannot be compiled.
    terms : size of what the textbook's formula, exp(z) - 1 or z (1 + tanh ...) / 2, adds and rounds where this may
        cancel; without it, formulas are off by a rounding of their values.
    """

    name: str
    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    difference: Callable[..., Any]
    breakpoints: tuple[float, ...] = ()
    linear: bool = False
    elementwise: bool = True
    scalar: Callable[[float], float] | None = None
    terms: Callable[[Array], Array] | None = None


ACTIVATIONS: dict[str, Activation] = {
    entry.name: entry
    for entry in (
        Activation("identity", pieces.identity, pieces.identity_derivative, pieces.identity_difference, linear=True),
        Activation("relu", pieces.relu, pieces.relu_derivative, pieces.relu_difference, (0.0,), linear=True),
        Activation("leaky_relu", pieces.leaky_relu, pieces.leaky_relu_derivative, pieces.leaky_relu_difference, (0.0,),
                   linear=True),
        Activation("relu6", pieces.relu6, pieces.relu6_derivative, pieces.relu6_difference, (0.0, 6.0), linear=True),
        Activation("hardtanh", pieces.hardtanh, pieces.hardtanh_derivative, pieces.hardtanh_difference, (-1.0, 1.0),
                   linear=True),
        Activation("elu", curves.elu, curves.elu_derivative, curves.elu_difference, (0.0,), terms=curves.elu_terms),
        Activation("selu", curves.selu, curves.selu_derivative, curves.selu_difference, (0.0,),
                   terms=curves.selu_terms),
        Activation("sigmoid", curves.sigmoid, curves.sigmoid_derivative, curves.sigmoid_difference),
        Activation("tanh", curves.tanh, curves.tanh_derivative, curves.tanh_difference),
        Activation("softplus", curves.softplus, curves.softplus_derivative, curves.softplus_difference,
                   terms=curves.softplus_terms),
        Activation("silu", curves.silu, curves.silu_derivative, curves.silu_difference),
        Activation("gelu", curves.gelu, curves.gelu_derivative, curves.gelu_difference, scalar=curves.gelu_scalar,
                   terms=np.abs),
        Activation("gelu_tanh", curves.gelu_tanh, curves.gelu_tanh_derivative, curves.gelu_tanh_difference,
                   terms=np.abs),
        Activation("softmax", softmax.softmax, softmax.softmax_derivative, softmax.softmax_difference,
                   elementwise=False),
    )
}
