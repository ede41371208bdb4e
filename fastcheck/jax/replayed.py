"""Functions of arrays that are traced once and then run many times.

A plain call traces every loop anew, and JAX compiles each of these as if it had never seen it.  Equations that are kept
are compiled once; each of them still rounds its result by itself, which code that is compiled as a whole does not.

JAX keeps what it compiles of single equations, for each shape and precision, as long as the process lives.  What nobody
else runs in that precision is compiled as a whole: in less time, and gone when it is no longer needed.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from .program.program import QUICKLY


@dataclass
class Replayed:
    """A function that is run many times.

    Parameters
    ----------
    function : a sequence of arrays, and numbers -> a sequence of arrays.  Where JAX cannot trace it, it is called.
    whole : whether it is compiled as a whole; else equation by equation, as a plain call runs it.
    """

    function: Callable[..., Sequence[Any]]
    whole: bool = False
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    def __call__(self, leaves: Sequence[Any], *numbers: float) -> Sequence[Any]:
        """Return what the function returns."""
        leaves = [jnp.asarray(leaf) for leaf in leaves]
        key = len(numbers), *((leaf.shape, leaf.dtype, leaf.weak_type) for leaf in leaves)
        if key not in self._kept:
            self._kept[key] = self._traced(leaves, numbers)
        run = self._kept[key]
        return self.function(leaves, *numbers) if run is None else list(run(*leaves, *numbers))

    def _traced(self, leaves: Sequence[Any], numbers: Sequence[float]) -> Any:
        """Return what runs the function's jaxpr; None where it has none."""
        count = len(leaves)

        def flat(*given: Any) -> list[Any]:
            return list(self.function(list(given[:count]), *given[count:]))

        try:
            closed = jax.make_jaxpr(flat)(*leaves, *numbers)
        except Exception:  # whatever the function does with tracers: it is then called in the plain way
            return None
        run = partial(jax.core.eval_jaxpr, closed.jaxpr, closed.consts)
        return jax.jit(run, compiler_options=QUICKLY) if self.whole else run
