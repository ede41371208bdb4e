"""The response engine distrusts itself: a few parameters by literal perturbed forward propagation, in every run."""

from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np

from ..._types import Array, Indices
from ...problems.networks.operations import unit_operations
from .block import Block
from .columns import CLEAN, NEAR_KINK
from .kernel_arrays import SLACK, START, Z, buffers
from .literal_losses import CLOSE, INTERPOLATED, SAFETY, SomeSamples, literal_parts, require_agreement
from .responses import Responses, powers_of
from .unit_responses import Totals, respond_literally

# Parameters that are checked in a run, ...
PARAMETERS = 4
# ... unless it has fewer operations than this: then one.
SMALL = 1e7
# One parameter's check may cost this share of the engine's own operations.
SHARE = 0.01


def spot_check(
    block: Block, responses: list[Responses], sum_of: Callable[[int, int, int], Array | None]
) -> dict[str, Any]:
    """Compare a random sample of parameters with literal forward propagation, to within its rounding.

    Parameters
    ----------
    block, responses : what the sums were made of.
    sum_of : odd and even part of one parameter by layer, unit and input, or None where it is not checked.

    Returns
    -------
    {"spot_checked": number of parameters, "spot_check_error": largest disagreement in units of its bound}

    Raises
    ------
    EngineError : where they disagree.
    """
    rng = np.random.default_rng(crc32(block.problem.theta[:4096].tobytes()))
    errors = []
    layers = [layer for layer, found in enumerate(responses) if len(found.units)]
    for _ in range(PARAMETERS if _operations(block) > SMALL else 1):
        layer = layers[int(rng.integers(len(layers)))]
        column = int(rng.integers(block.inputs[layer].shape[1]))
        unit = rng.choice(responses[layer].units)
        total = sum_of(layer, int(unit), column)
        if total is not None and np.all(np.isfinite(total)):
            errors.append(_check_one(block, responses[layer], (layer, int(unit), column), total, rng))
    return {"spot_checked": len(errors), "spot_check_error": max(errors, default=0.0)}


def _check_one(block: Block, found: Responses, place: tuple[int, int, int], total: Array,
               rng: np.random.Generator) -> float:
    """Disagreement at one parameter in units of its bound; odd and even parts, without the cost's scale.

    Where the responses are polynomials, the sums are recomputed one by one and some samples are propagated
    literally; elsewhere the sums themselves are compared with literal propagation of all samples.
    """
    layer, unit, column = place
    a = block.inputs[layer][:, column]
    samples, own = np.arange(block.m), total / block.scale
    if found.kinds[:, unit].max() < NEAR_KINK:
        parts = _polynomial(found, unit, block.epsilon, a)
        require_agreement(own, parts.sum(axis=1), CLOSE * np.abs(parts).sum() + 1e-300, place)
        samples = np.sort(rng.choice(block.m, _affordable(block, layer), replace=False))
        own = parts[:, samples].sum(axis=1)
    literal, rounding = _literal(block, place, samples)
    bound = rounding + CLOSE * float(np.abs(own).max())
    if not np.max(np.abs(literal - own)) <= bound:
        own = own + _interpolation(block, found, place, samples[found.kinds[samples, unit] == CLEAN])
    error = require_agreement(literal, own, bound, place)
    return error / bound if bound else 0.0


def _polynomial(found: Responses, unit: int, epsilon: float, a: Array) -> Array:
    """Return the odd and even part (2, m) of one parameter's responses."""
    row = np.array([unit])
    odd_powers, even_powers = powers_of(a[:, None], found.degree(row))
    odd = found.odd(row, epsilon) * odd_powers
    even = found.even(row, epsilon) * even_powers
    return np.array([odd.reshape(-1, a.size).sum(axis=0), even.reshape(-1, a.size).sum(axis=0)])


def _interpolation(block: Block, found: Responses, place: tuple[int, int, int], samples: Indices) -> Array:
    """Return what odd and even part of some samples' responses are beyond the polynomials through their values at +-h.

    Where targets are met exactly the loss is flat, and a response's odd part begins with its cubic term.  The
    polynomial through its values at +-h then gives that term as if it were linear: right to all digits of the slope's
    scale, but not to those of the odd part.  So the polynomials are compared with the responses at +-h that they come
    from, and literal propagation with the response itself.
    """
    layer, unit, column = place
    x, h = block.epsilon * block.inputs[layer][samples, column], block.steps(layer)[samples]
    far, near, here = (_responses(block, layer, unit, samples, steps) for steps in (h, 0.5 * h, x))
    is_quartic = (found.powers[2:4, samples, unit] != 0.0).any(axis=0)
    c1, c2 = far[0] / h, far[1] / (h * h)
    c3 = np.where(is_quartic, c1 - near[0] / (0.5 * h), 0.0) / (0.75 * h * h)
    c4 = np.where(is_quartic, c2 - near[1] / (0.25 * h * h), 0.0) / (0.75 * h * h)
    odd, even = (c1 - h * h * c3) * x + c3 * x**3, (c2 - h * h * c4) * x * x + c4 * x**4
    own = _polynomial(found, unit, block.epsilon, block.inputs[layer][:, column])[:, samples].sum(axis=1)
    require_agreement(own, np.array([odd.sum(), even.sum()]), INTERPOLATED * float(np.abs(far).sum()) + 1e-300, place)
    return np.asarray(here.sum(axis=1) - own)


def _responses(block: Block, layer: int, unit: int, samples: Indices, steps: Array) -> Array:
    """Return the odd and even part (2, samples) of one unit's responses to a change of its own for each sample."""
    parts = np.zeros((2, len(samples)))
    changes = np.zeros((block.m, 1))
    changes[samples, 0] = steps
    own = buffers(block.arrays, 1)
    for k, sample in enumerate(samples):
        totals = Totals(parts[0, k : k + 1], parts[1, k : k + 1], np.zeros(1, np.bool_))
        respond_literally(block.arrays, layer, unit, np.array([sample]), changes, 1.0, own, totals)
    return parts


def _operations(block: Block) -> float:
    """Multiply-adds of the engine itself."""
    widths = block.problem.network.widths
    return sum(n * unit_operations(widths, k, block.m) for k, n in enumerate(widths[1:]))


def _affordable(block: Block, layer: int) -> int:
    """Return how many samples one parameter's check may propagate."""
    widths = block.problem.network.widths
    passes = 15  # forward at five points, and the bound's way back, twice as long
    each = passes * (widths[layer] + sum(widths[k] * widths[k + 1] for k in range(layer + 1, len(widths) - 1)))
    return int(min(max(SHARE * _operations(block) / each, 1), block.m))


def _literal(block: Block, place: tuple[int, int, int], samples: Indices) -> tuple[Array, float]:
    """Odd and even part of the losses' sum over samples by plain perturbed propagation, and a bound of its rounding."""
    pre_activations, slack = (_by_layer(block, block.arrays.units[samples, :, which]) for which in (Z, SLACK))
    reads, targets = block.inputs[place[0]][samples], block.arrays.ends[samples, 2].T
    chosen = SomeSamples(block.problem, block.epsilon, reads, pre_activations, slack, targets)
    parts, rounding = literal_parts(chosen, place)
    return parts, SAFETY * rounding


def _by_layer(block: Block, values: Array) -> list[Array]:
    """(m, all units) as one (units, m) array per layer."""
    return [part.T for part in np.split(values, block.arrays.layers[1:, START], axis=1)]
