"""Jacobi's rotations of the change of a symmetric matrix, as the old eigenvectors see it.

With A = V diag(w) V^T, A + dA = V (diag(w) + S) V^T, S = V^T dA V.  Each rotation moves a pair of eigenvalues by
-t b and t b (Rutishauser, 1966), b being the entry of S that it removes, so that their changes are sums of small terms:
nothing cancels however small dA is, and equal eigenvalues are no exception.
"""

from typing import Any

from .axes import inserted
from .linear_algebra import transposed
from .namespaces import identity, largest

# Off-diagonal entries below this share of the change are rounding.
NEGLIGIBLE = 1e-20
EPSILON = 2.0**-52
# Sweeps converge quadratically: four to six are enough, even from far away.
SWEEPS = 15


def rotation(xp: Any, gap: Any, b: Any) -> tuple[Any, Any]:
    """Tangent and sine of the rotation that removes b from [[w, b], [b, w + gap]]."""
    size = xp.hypot(gap, 2.0 * b)
    denominator = xp.where(gap < 0.0, gap - size, gap + size)
    t = xp.where(b == 0.0, 0.0, 2.0 * b / xp.where(denominator == 0.0, 1.0, denominator))
    return t, t / xp.sqrt(1.0 + t * t)


def diagonalised(xp: Any, w: Any, s: Any) -> tuple[Any, Any]:
    """The changes of the eigenvalues w, in their old order, and the eigenvectors of diag(w) + S less the unit one."""
    n = s.shape[-1]
    shift = 1.0 * xp.diagonal(s, 0, -2, -1)
    off = s * (1.0 - identity(xp, n, s))
    turned = 0.0 * s
    scale = xp.amax(xp.abs(s), axis=(-2, -1), keepdims=True)
    scale = xp.where(scale == 0.0, 1.0, scale)
    rounds = pairs_in_rounds(n)
    for _ in range(SWEEPS):
        if not largest(xp, off / scale) > NEGLIGIBLE:
            break
        for p, q in rounds:
            rotate(xp, w, shift, off, turned, p, q)
    return shift, turned


def pairs_in_rounds(n: int) -> list[tuple[list[int], list[int]]]:
    """Return all pairs of n things, in rounds in which each is in one pair at most, as players meet in a tournament.

    Rotations of pairs apart from one another are made at once.
    """
    players = n + n % 2
    circle = list(range(1, players))
    rounds = []
    for _ in range(len(circle)):
        table = [0, *circle]
        met = [sorted(pair) for pair in zip(table[: players // 2], table[: players // 2 - 1 : -1], strict=True)]
        there = [(p, q) for p, q in met if q < n]
        if there:
            rounds.append(([p for p, _ in there], [q for _, q in there]))
        circle = circle[1:] + circle[:1]
    return rounds


def rotate(xp: Any, w: Any, shift: Any, off: Any, turned: Any, p: list[int], q: list[int]) -> None:
    """Remove off[p, q] by rotations of rows and columns p and q, in place; no number stands twice in p and q."""
    b = 1.0 * off[..., p, q]
    t, sine = rotation(xp, (w[..., q] - w[..., p]) + (shift[..., q] - shift[..., p]), b)
    less = -sine * sine / (1.0 + xp.sqrt(1.0 - sine * sine))  # cosine - 1
    shift[..., p] -= t * b
    shift[..., q] += t * b
    for rows in (off, transposed(xp, off), transposed(xp, turned)):
        first, second = 1.0 * rows[..., p, :], 1.0 * rows[..., q, :]
        rows[..., p, :] = first + (inserted(less) * first - inserted(sine) * second)
        rows[..., q, :] = second + (inserted(sine) * first + inserted(less) * second)
    for rows, columns in ((p, q), (q, p), (p, p), (q, q)):
        off[..., rows, columns] = 0.0
    turned[..., p, p] += less
    turned[..., q, p] -= sine
    turned[..., p, q] += sine
    turned[..., q, q] += less


def without_rounding(xp: Any, w: Any) -> Any:
    """Ascending eigenvalues, those that only rounding tells apart made equal: else it would break the tie."""
    gap = 8.0 * w.shape[-1] * EPSILON * xp.amax(xp.abs(w), axis=-1)
    kept = [w[..., 0]]
    for k in range(1, w.shape[-1]):
        kept.append(xp.where(w[..., k] - w[..., k - 1] <= gap, kept[-1], w[..., k]))
    return xp.concatenate([inserted(x) for x in kept], axis=-1)
