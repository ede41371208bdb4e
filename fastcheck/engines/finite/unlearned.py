"""Where nothing is learned: points at which all parameters have shrunk, and nothing is saturated any more."""

import numpy as np

from ..._types import Array

# Shares to which all parameters shrink ...
SHRUNK = 1.0 / 4.0, 1.0 / 16.0
# ... and the seed of signs that are random, too: what only angles say, as those of embeddings that are normalised, no
# shrinking makes forgotten.
SEED = 0


def shrunk_shares(size: int) -> list[Array]:
    """Return the shares of ``size`` parameters that are left of them, (1,) or (size,)."""
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], size)
    return [*(np.array([share]) for share in SHRUNK), SHRUNK[-1] * signs]
