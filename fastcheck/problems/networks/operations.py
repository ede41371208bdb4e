"""How many multiply-adds a check takes: what time is predicted from, and work shared out by."""


def column_operations(widths: tuple[int, ...], layer: int) -> float:
    """Multiply-adds for one unit of a layer and one sample, both signs: an outer product, then matrix products."""
    first = widths[layer + 2] if layer + 2 < len(widths) else 0
    return 2.0 * (10.0 + first + sum(widths[k] * widths[k + 1] for k in range(layer + 2, len(widths) - 1)))


def unit_operations(widths: tuple[int, ...], layer: int, samples: int) -> float:
    """Multiply-adds of the response engine for one unit: its columns, and the sums over samples for its parameters."""
    return samples * (column_operations(widths, layer) + 2.0 * (widths[layer] + 1))


