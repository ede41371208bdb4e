"""Jacobians from exact changes: the function's operators recorded once, each differenced by its rule, nothing rounded.

Steps are far shorter than those of ordinary differences, since no digits cancel: what is left of truncation is no more
than rounding.  Whatever is recorded is held against literal subtraction along the random directions, so that a change
that got lost on the way is noticed.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .._constants import CANCELLED, UNIT_ROUNDOFF
from .._errors import NoRule
from .._types import Array
from .directions import Directions
from .function import TorchFunction
from .program.program import TorchProgram
from .tensors import Tensors, in_short, real_outputs

log = logging.getLogger("fastcheck.torch")

# Steps, relative to an entry and at least.
STEP, LEAST = 2.0**-27, 2.0**-27
# Bytes that a block of columns may take.
BLOCK_BYTES = 1 << 25
# The recorded function may differ from the plain one by the rounding of fused implementations, relative to its largest
# value; and exact changes along a direction from literal ones, relative to what made them up.
SAME, LITERAL = 1e-9, 1e-4


def exact_jacobian(function: TorchFunction, directions: Directions) -> Array:
    """Return the Jacobian (M, n) of the outputs that ``directions`` looks at.

    Parameters
    ----------
    function : at its point, after ``function.value()``.
    directions : the same function along random directions, by subtraction.

    Raises
    ------
    NoRule : where the function cannot be followed, an operator has no rule, an entry stands on a kink, or subtraction
        contradicts what was found.
    """
    program = _recorded(function)
    plain = np.concatenate([np.empty(0), *(np.asarray(o).reshape(-1) for o in program.outputs)])
    scale = float(np.max(np.abs(function.plain), initial=0.0))
    with np.errstate(invalid="ignore"):
        same = plain.shape == function.plain.shape and (np.abs(plain - function.plain) <= SAME * scale).all()
    if not same:
        raise NoRule("a function whose operators, one by one, give other values than it does")
    found = np.empty((directions.rows.size, function.theta.size))
    for number, span in enumerate(function.spans):
        found[:, span] = _columns(program, number, function)[directions.rows]
    if not np.isfinite(found).all():
        raise NoRule("a function whose exact changes are not finite")
    _require_literal(found, directions)
    return found


def _require_literal(found: Array, directions: Directions) -> None:
    """Raise NoRule where literal subtraction along the random directions contradicts a Jacobian.

    Outputs that cancel are rounded as what cancelled, whose size is unknown: as the largest output or input, or one.
    """
    sizes = np.abs(np.concatenate([np.ones(1), directions.function.theta, directions.function.plain]))
    noise = directions.noise + CANCELLED * UNIT_ROUNDOFF * float(np.max(sizes, where=np.isfinite(sizes), initial=1.0))
    for rise in directions.rises:
        block = found[:, rise.span]
        with np.errstate(all="ignore"):
            size = np.abs(block) @ np.abs(rise.move)
            off = np.abs(block @ rise.move - rise.rise)
        if not (off <= noise + LITERAL * size).all():
            raise NoRule("a function that moves otherwise than its operators, one by one")


def _recorded(function: TorchFunction) -> TorchProgram:
    """Return the function's operators; raises NoRule for whatever the function cannot do while they are recorded."""
    moving = [torch.view_as_real(t.detach().resolve_conj()) if t.is_complex() else t.detach() for t in function.moving]
    if any(t.dtype != torch.float64 for t in moving):
        raise NoRule("inputs of less than double precision")
    try:
        return TorchProgram(_real(function), moving)
    except NoRule:
        raise
    except Exception as error:
        # Operators may refuse being run one by one in any way they like.
        raise NoRule(f"a function that cannot be recorded: {in_short(error)}") from error


def _real(function: TorchFunction) -> Callable[..., Tensors]:
    """Return the function of real numbers only."""
    call, places = function.values or function.call, function.places
    still = [i.detach() if isinstance(i, torch.Tensor) else i for i in function.inputs]
    pairs = [t.is_complex() for t in function.moving]

    def real(*values: torch.Tensor) -> Any:
        given = list(still)
        for place, value, pair in zip(places, values, pairs, strict=True):
            given[place] = torch.view_as_complex(value) if pair else value
        with torch.enable_grad():  # the function may differentiate, too
            return real_outputs(call(*given))

    return real


def _columns(program: TorchProgram, number: int, function: TorchFunction) -> Array:
    """Return central differences (all outputs, n) by each entry of one input."""
    shape, theta = function.parts[number].tensor.shape, function.theta[function.spans[number]]
    out = np.zeros((sum(np.asarray(o).size for o in program.outputs), theta.size))
    steps = np.maximum(STEP * np.abs(theta), LEAST)
    width = max(1, min(theta.size, BLOCK_BYTES // max(2 * program.column_bytes, 1)))
    for start in range(0, theta.size, width):
        some = np.arange(start, min(start + width, theta.size))
        changes = np.zeros((2, some.size, theta.size))
        changes[0, np.arange(some.size), some] = steps[some]
        changes[1] = -changes[0]
        response = _run(program, number, changes.reshape(2 * some.size, *shape))
        if response.ties.any() or response.crossed.any():
            raise NoRule("a kink at the point itself")
        row = 0
        for output, change in zip(program.outputs, response.changes, strict=True):
            count = np.asarray(output).size
            if change is not None:
                above, below = np.asarray(change).reshape(2, some.size, count)
                out[row : row + count, some] = ((above - below) / (2.0 * steps[some, None])).T
            row += count
    return out


def _run(program: TorchProgram, number: int, changes: Array) -> Any:
    try:
        return program.run({number: changes})
    except NoRule:
        raise
    except Exception as error:
        raise NoRule(f"an operator whose rule cannot take it: {in_short(error)}") from error
