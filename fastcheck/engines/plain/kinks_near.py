"""Which changes of a layer's units meet a kink in the next layer: bounds first, then the few that may."""

import numpy as np

from ..._types import Array, Mask

# Moves that are looked at one by one; where more may meet a kink, everything is propagated and looked at as it goes.
MOST = 1 << 17


def met_behind(W: Array, margin: Array, sizes: Array, bounds: Array) -> tuple[Mask | None, bool]:
    """Return which columns (units, m) meet a kink, None for none of them, and whether there were not too many to tell.

    Parameters
    ----------
    W : (outputs, units), from those units to the next layer; margin : (outputs, m), how far its units are from kinks.
    sizes : (units, m) of the changes; bounds : (outputs, m) of what they may become.
    """
    places, samples = np.nonzero(~(bounds < margin))
    if not places.size:
        return None, True
    if places.size * len(sizes) > MOST:
        return None, False
    moves = np.abs(W[places]) * sizes.T[samples]
    met = np.zeros(sizes.shape[::-1], np.bool_)
    np.logical_or.at(met, samples, ~(moves < margin[places, samples][:, None]) & (moves != 0.0))
    return met.T, True
