"""Eigenvalues and eigenvectors of diag(w) + S where S is small beside the gaps between eigenvalues.

The eigenvector that has 1 in its own place j has x in the others, and (diag(w) + S)(e_j + x) = (w_j + c)(e_j + x) says

    c = S_jj + sum_k S_jk x_k,    x_i = (S_ij + sum_k S_ik x_k - c x_i) / (w_j - w_i).

Put into itself, the second equation gives the exact solution: each time what is missing shrinks by the ratio of S to
the gaps.  At the engine's own step once or twice is enough, by products of matrices that all perturbations share.
"""

from typing import Any

from .namespaces import identity, largest, smallest

# The ratio of S to the gaps up to which this is faster than rotations; and a share of the change that is rounding.
NEAR, ROUNDING = 1e-3, 1e-17


def mixtures(xp: Any, w: Any, s: Any, count: int, *, values_alone: bool) -> Any:
    """Return what the last ``count`` eigenvectors have of the others, (..., n, count); None where S is not small.

    With ``values_alone`` it is as exact as the eigenvalues need it, which feel the square of what is missing.
    """
    n = s.shape[-1]
    first = n - count
    gap = xp.where(identity(xp, n, s)[:, first:] == 1.0, xp.inf, w[..., None, first:] - w[..., :, None])
    least, most = smallest(xp, gap), n * largest(xp, s)
    if not (least > 0.0 and most <= NEAR * least):
        return None
    own = s[..., first:]
    x = own / gap
    missing = (most / least) ** (2 if values_alone else 1)
    while missing > ROUNDING:
        x = (own + (s @ x - x * shifts(xp, s, x)[..., None, :])) / gap
        missing *= most / least
    return x


def shifts(xp: Any, s: Any, x: Any) -> Any:
    """Return the changes of the last eigenvalues, of which the eigenvectors have x of the others."""
    first = s.shape[-1] - x.shape[-1]
    return xp.diagonal(s, 0, -2, -1)[..., first:] + xp.sum(s[..., first:] * x, axis=-2)


def turns(xp: Any, x: Any) -> Any:
    """Return eigenvectors of length one less the unit ones: (e + x) / |e + x| - e."""
    n, count = x.shape[-2:]
    square = xp.sum(x * x, axis=-2, keepdims=True)
    length = xp.sqrt(1.0 + square)
    return x / length - identity(xp, n, x)[:, n - count :] * (square / (length * (1.0 + length)))
