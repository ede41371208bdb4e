"""Functions of arrays that are traced once and then run equation by equation, as a plain call runs them.

A plain call traces every loop anew, and JAX compiles each of these as if it had never seen it.  Equations that are kept
are compiled once; each of them still rounds its result by itself, which code that is compiled as a whole does not.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp


@dataclass
class Replayed:
    """A function that is run many times.

    Parameters
    ----------
    function : a sequence of arrays, and numbers -> a sequence of arrays.  Where JAX cannot trace it, it is called.
    """

    function: Callable[..., Sequence[Any]]
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    def __call__(self, leaves: Sequence[Any], *numbers: float) -> Sequence[Any]:
        """Return what the function returns."""
        leaves = [jnp.asarray(leaf) for leaf in leaves]
        key = len(numbers), *((leaf.shape, leaf.dtype, leaf.weak_type) for leaf in leaves)
        if key not in self._kept:
            self._kept[key] = self._traced(leaves, numbers)
        closed = self._kept[key]
        if closed is None:
            return self.function(leaves, *numbers)
        return list(jax.core.eval_jaxpr(closed.jaxpr, closed.consts, *leaves, *numbers))

    def _traced(self, leaves: Sequence[Any], numbers: Sequence[float]) -> Any:
        """Return the function's jaxpr; None where it has none."""
        count = len(leaves)

        def flat(*given: Any) -> list[Any]:
            return list(self.function(list(given[:count]), *given[count:]))

        try:
            return jax.make_jaxpr(flat)(*leaves, *numbers)
        except Exception:  # whatever the function does with tracers: it is then called in the plain way
            return None
