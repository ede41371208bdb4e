"""Costs beside theta, worked out entry by entry when somebody asks for them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._types import Array, Indices


class CostsOnDemand:
    """J(theta + step e_k) for the checked positions k, as an array that is computed where it is looked at.

    Parameters
    ----------
    cost_at : (places,) -> costs: of some of the checked positions.
    size : number of checked positions.

    Notes
    -----
    It holds the program, and so the caller's function; pickled, it is the plain array.
    """

    def __init__(self, cost_at: Callable[[Indices], Array], size: int) -> None:
        self._cost_at, self.size = cost_at, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: Any) -> Any:
        places = np.arange(self.size)[key]
        return self._cost_at(np.atleast_1d(places)).reshape(np.shape(places))[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("copy: expected None or True, got False; these costs are computed when asked for")
        return np.asarray(self[:], dtype=dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (np.asarray(self),)
