"""Jacobians too large to be made, along random directions; and the entry that is to blame."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .._constants import UNIT_ROUNDOFF
from .._types import Array
from ..checks.jacobian.mismatch import BETWEEN
from ..checks.jacobian.point import Part, Tolerances
from ..engines.program.places import INNER_STEP
from ..problems.parameters.sampling import random_direction
from .function import JaxFunction, WrongDerivativeError
from .jacobian import Exact, any_flagged
from .kinks import mixtures

# Directions, and how far derivatives and differences along one may be apart: what exact differences leave, what steps
# along all axes at once leave, and this many roundings of the function's precision.
DIRECTIONS, CLOSE, APART, ROUNDINGS = 8, 1e-9, 1e-6, 32.0
# Parts that a direction is cut into to find the entry that is to blame.
PARTS = 8


def along_directions(function: JaxFunction, exact: Exact | None, mode: str, limits: Tolerances, name: str) -> None:
    """Compare a Jacobian along random directions.

    Raises
    ------
    WrongDerivativeError : where they disagree, with the output and the entry that disagree most.
    """
    generator = np.random.default_rng(0)
    theta, value = function.theta, function.value
    size = float(np.sqrt(np.mean(theta**2))) or 1.0
    us = np.stack([random_direction(generator, theta.size) for _ in range(DIRECTIONS)])
    v = random_direction(generator, value.size)
    rises = _rises(function, exact, size * us, limits.eps)
    pulled = function.rows(v[None])[0] if mode == "rev" else None
    for row, u in enumerate(us):
        if pulled is not None:
            parts, given = pulled * u, [v @ rise[row] for rise in (rises.right, rises.left)]
            sums, scale = np.array([parts.sum()]), np.array([np.linalg.norm(parts)])
            noise = np.array([np.linalg.norm(v * value)])
        else:
            sums, given = function.columns(u[None], linearize=mode == "lin")[0], [rises.right[row], rises.left[row]]
            scale = np.abs(sums) + np.linalg.norm(sums) / max(sums.size, 1) ** 0.5
            noise = np.abs(value)
        unit = max(function.unit, limits.unit)
        allowed = (max(CLOSE, ROUNDINGS * unit) * scale if exact is not None else
                   8.0 * unit * noise / limits.eps + max(APART, 1e2 * limits.eps**2, ROUNDINGS * unit) * scale)
        allowed = allowed + 8.0 * UNIT_ROUNDOFF * noise / size
        bounds = np.array(given)
        with np.errstate(invalid="ignore"):
            right = (sums >= bounds.min(axis=0) - allowed) & (sums <= bounds.max(axis=0) + allowed)
            exactly = right & ~(np.abs(bounds[0] - bounds[1]) > 2.0 * allowed)
            for held in rises.under_conventions():
                if exactly.all():
                    break
                exactly |= np.abs(sums - (v @ held[row] if pulled is not None else held[row])) <= allowed
        if exactly.all():
            continue
        if (right | exactly).all():
            raise WrongDerivativeError(f"{name}: along a random direction {BETWEEN}")
        worst = int(np.argmax(~(right | exactly)))
        where = "of all outputs" if mode == "rev" else f"of {_place(function.parts()[1], worst)}"
        entry = _location(function, exact, mode, u, (v, worst), limits.eps)
        raise WrongDerivativeError(
            f"{name}: mismatch along a random direction {where}: derivative {sums[worst]:.9g}, numerical "
            f"{given[0] if pulled is not None else given[0][worst]:.9g}. The Jacobian has "
            f"{value.size * theta.size:,} entries; those of {entry} disagree most; check a smaller example to learn "
            "which others are wrong"
        )


@dataclass
class Rises:
    """Slopes (k, M) of the outputs along directions.

    right, left : on both sides; held : under conventions for ties, one after the other, where values stand on kinks.
    """

    right: Array
    left: Array
    held: Iterator[Array] = field(default_factory=lambda: iter(()))
    _found: list[Array] = field(default_factory=list)

    def under_conventions(self) -> Iterator[Array]:
        """Yield the slopes under each convention; what was found once is kept."""
        yield from self._found
        for one in self.held:
            self._found.append(one)
            yield one


def _rises(function: JaxFunction, exact: Exact | None, us: Array, eps: float) -> Rises:
    """Return slopes along directions."""
    scale = float(np.sqrt(np.mean(function.theta**2))) or 1.0
    if exact is None:
        both = [np.stack([function.at(function.theta + sign * eps * u / scale) for u in us]) for sign in (1.0, -1.0)]
        slope = (both[0] - both[1]) / (2.0 * eps)
        return Rises(slope, slope)
    found, response = exact.along(INNER_STEP * us)
    right = found / (INNER_STEP * scale)
    if not any_flagged(response).any():
        return Rises(right, right)
    left = -exact.along(-INNER_STEP * us)[0] / (INNER_STEP * scale)
    return Rises(right, left, (exact.along(INNER_STEP * us, convention)[0] / (INNER_STEP * scale)
                               for convention in mixtures(response.met)))


def _location(
    function: JaxFunction, exact: Exact | None, mode: str, u: Array, along: tuple[Array, int], eps: float
) -> str:
    """Return the entry of the inputs that disagrees most: the worst part of the worst part."""
    (v, row), generator = along, np.random.default_rng(1)
    scale = float(np.sqrt(np.mean(function.theta**2))) or 1.0
    pulled = function.rows(v[None])[0] if mode == "rev" else None
    entries = generator.permutation(u.size)
    while entries.size > 1:
        chosen = np.array_split(entries, min(PARTS, entries.size))
        parts = np.zeros((PARTS, u.size))
        for k, part in enumerate(chosen):
            parts[k, part] = u[part]
        rises = _rises(function, exact, scale * parts, eps).right
        if pulled is not None:
            apart = np.abs(parts @ pulled - rises @ v)
        else:
            apart = np.abs(function.columns(parts, linearize=mode == "lin")[:, row] - rises[:, row])
        entries = chosen[int(np.argmax(np.where(np.isfinite(apart), apart, np.inf)[: len(chosen)]))]
    return _place(function.parts()[0], int(entries[0]))


def _place(parts: tuple[Part, ...], position: int) -> str:
    part = next(part for part in parts if position < part.tensor.stop)
    return f"{part.name}{part.place(position)}"
