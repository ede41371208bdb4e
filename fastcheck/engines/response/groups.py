"""How many units the response engine takes together: the columns of a task, and the rows of a sum."""

import numpy as np

from ...problems.networks.network import Network

# Bytes of the two buffers of one task.
COLUMNS_BYTES = 1 << 24
# Units of one task, at least and at most.
LEAST_COLUMNS, MOST_COLUMNS = 16, 512
# Units whose sums are taken together.
ROWS = 64


def together(network: Network) -> int:
    """Units whose columns and sums are taken together: checks of whole such groups give the same digits in any run."""
    return max(ROWS, columns(network, COLUMNS_BYTES))


def columns(network: Network, limit: int) -> int:
    """Return units per task: the buffers hold this many columns."""
    return power_of_two(limit / bytes_per_column(network), MOST_COLUMNS)


def power_of_two(count: float, most: int) -> int:
    """The largest power of two up to count, from LEAST_COLUMNS to ``most``: large groups divide into small ones."""
    return 1 << int(np.clip(count, LEAST_COLUMNS, most)).bit_length() - 1


def bytes_per_column(network: Network) -> int:
    """Of the two buffers of a task, with both signs."""
    return 32 * max(network.widths)
