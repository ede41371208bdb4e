"""Types that every room uses."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
# Some rows of an array: by their numbers, or a slice, which makes a view.
Rows = Indices | slice
