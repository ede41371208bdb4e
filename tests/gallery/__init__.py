"""Layers and models in plain NumPy as people write them, each with a right backward pass and several wrong ones.

A new case is a ``Layer`` or a ``Model`` in the list ``CASES`` of one of these modules; every test of the gallery then
takes it up.  Only the keyword switches of the backward passes, which plant the mistakes, are made for the tests.
"""

from . import (
    activations,
    attention,
    convolution,
    dense,
    graphs,
    losses,
    networks,
    normalization,
    pooling,
    probabilistic,
    recurrent,
    solvers,
)
from .case import Case

MODULES = (dense, losses, convolution, pooling, normalization, recurrent, attention, activations, probabilistic,
           solvers, graphs, networks)
CASES: list[Case] = [case for module in MODULES for case in module.CASES]
NAMED: dict[str, Case] = {case.name: case for case in CASES}
