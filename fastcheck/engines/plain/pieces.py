"""Work in pieces that do not depend on the number of threads, so that results do not either."""

from itertools import pairwise

# Multiply-adds of one piece of a product: enough that starting a thread, and packing the other factor anew, is little.
PIECE = 1 << 24
# Multiply-adds that take longer than a thread at hand takes to begin.
WORTH_SHARING = 1 << 21


def evenly(length: int, pieces: int) -> list[slice]:
    """Return slices of about ``pieces`` equal parts: one, or an even number, for most machines' threads are even."""
    count = max(1, min(length, pieces + pieces % 2))
    return [slice(*pair) for pair in pairwise(length * i // count for i in range(count + 1))]


def pieces_of_rows(rows: int, work: int) -> list[slice]:
    """Return slices of rows that share ``work`` multiply-adds, the same however many threads there are."""
    return evenly(rows, max(work // PIECE, int(work > WORTH_SHARING)))
