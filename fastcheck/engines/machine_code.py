"""Activations and losses as machine code, each compiled by itself when a network that has it is checked.

Kernels know them by where they lie (``runtime.jit.Addresses``); arrays are handed over as the address of the first
entry and the lengths.
"""

from typing import Any

from ..rules import activations, losses, short_series
from ..rules.activations import ACTIVATIONS
from ..rules.losses import COSTS
from ..runtime.jit import LENGTH, NUMBER, NUMBERS, Addresses, carray, compiled_namespace

functions = compiled_namespace(short_series, *activations.FAMILIES, activations, losses)
chosen: Any = None  # stands for the function of the table

VECTOR = NUMBERS, LENGTH


def _value(z: float) -> float:
    return float(chosen(z))


def _difference(z: float, d: float) -> float:
    return float(chosen(z, d))


def _mixed(p: Any, n: int, d: Any, n_d: int, out: Any, n_out: int) -> float:
    chosen(carray(p, n), carray(d, n_d), carray(out, n_out))
    return 0.0


def _columns(z: Any, n: int, a: Any, n_a: int, y: Any, n_y: int, d: Any, rows: int, columns: int, out: Any,
             n_out: int) -> float:
    chosen(carray(z, n), carray(a, n_a), carray(y, n_y), carray(d, (rows, columns)), carray(out, n_out))
    return 0.0


def _loss(z: Any, n: int, a: Any, n_a: int, y: Any, n_y: int) -> float:
    return float(chosen(carray(z, n), carray(a, n_a), carray(y, n_y)))


# g(z), D(z, d) and, for activations that mix their inputs, D(p, d, out); by the activation's name.
activation_values = Addresses(
    {name: functions[(e.scalar or e.value).__name__] for name, e in ACTIVATIONS.items() if e.elementwise},
    _value, NUMBER,
)
activation_differences = Addresses(
    {name: functions[e.difference.__name__] for name, e in ACTIVATIONS.items() if e.elementwise},
    _difference, NUMBER, NUMBER,
)
mixed_differences = Addresses(
    {name: functions[e.difference.__name__] for name, e in ACTIVATIONS.items() if not e.elementwise},
    _mixed, *VECTOR, *VECTOR, *VECTOR,
)
# The loss of one sample (z, a, y), and its exact differences (z, a, y, d, out); by the cost's name.
sample_losses = Addresses(
    {name: functions[e.column.__name__] for name, e in COSTS.items()}, _loss, *VECTOR, *VECTOR, *VECTOR,
)
loss_differences = Addresses(
    {name: functions[e.columns.__name__] for name, e in COSTS.items()},
    _columns, *VECTOR, *VECTOR, *VECTOR, NUMBERS, LENGTH, LENGTH, *VECTOR,
)
