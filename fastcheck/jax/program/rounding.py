"""Results of primitives that are off by a rounding each."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from ..._types import Array
from ...engines.program.rounded import UNIT, Roundings, far_away, near_by
from .evaluation import SAME, is_inexact

# Primitives whose results are numbers that they were given, in other places and perhaps with the other sign.
GIVEN = frozenset((
    *SAME, "reshape", "broadcast_in_dim", "transpose", "squeeze", "expand_dims", "rev", "slice", "pad", "concatenate",
    "split", "stack", "tile", "unstack", "real", "imag", "complex", "conj", "neg", "abs", "sign", "max", "min", "clamp",
    "select_n", "gather", "dynamic_slice", "dynamic_update_slice", "scatter", "scatter-max", "scatter-min", "sort",
    "top_k", "approx_top_k", "reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min",
    "select_and_gather_add", "cummax", "cummin", "floor", "ceil", "round",
))  # fmt: skip
# The multipliers of a hash (splitmix64), and how many bits of it a random number has.
MULTIPLIERS, BITS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB), 53


def keys_of(roundings: Roundings) -> tuple[NDArray[np.uint64], Array]:
    """Return keys (rows, 2) of what results and their changes are off by, and UNIT, or 0 where nothing is, (rows,)."""
    keys = [np.random.default_rng(seed).integers(0, 1 << 64, 2, dtype=np.uint64) for seed in roundings.seeds]
    return np.stack(keys)[roundings.rows], np.where(roundings.rows < 0, 0.0, UNIT)


@dataclass
class Rounded:
    """Has results of primitives, of one perturbation, be off by a rounding each.

    What a result is off by depends on the primitive and on the result's value, as in truth: what a loop computes anew
    is rounded anew at each step.

    Parameters
    ----------
    keys, unit : of this perturbation, as of ``keys_of``.
    far : see ``engines.program.rounded.Roundings``.
    count : primitives so far.
    """

    keys: Any
    unit: Any
    far: Any
    count: int = field(default=0, init=False)

    def after(self, name: str, value: Any, change: Any) -> Any:
        """Return the change to go on with, of a result of a primitive."""
        self.count += 1
        if name in GIVEN or not is_inexact(value):
            return change
        given = jnp, value, change, self._draws(jnp.real(value))
        return jnp.where(self.far, far_away(*given), near_by(*given))

    def _draws(self, value: Any) -> Any:
        """Return by how much the result and its change are off: numbers that are spread evenly."""
        keys = self.keys ^ np.random.default_rng(self.count).integers(0, 1 << 64, dtype=np.uint64)
        bits = keys.reshape(2, *(1,) * value.ndim) ^ lax.bitcast_convert_type(value, jnp.uint64)
        for shift, multiplier in zip((30, 27), MULTIPLIERS, strict=True):
            bits = (bits ^ (bits >> shift)) * np.uint64(multiplier)
        numbers = (bits >> (64 - BITS)).astype(jnp.float64) * 2.0**(1 - BITS) - 1.0
        return self.unit * np.sqrt(3.0) * numbers
