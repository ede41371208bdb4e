"""Linear algebra on the last two axes, with any number of batch axes in front.

Determinants and Cholesky factors go by elimination on 1 + S, S being the change as the old matrix sees it: pivots are
carried as what they differ from one, so that nothing cancels however small the change.
"""

from typing import Any

from .axes import inserted
from .base import Changes, Rule, Values, plus
from .namespaces import TINY, identity, largest, matrix_exponential

# The largest row sum of S up to which elimination without pivoting is stable.
WITHOUT_PIVOTS = 0.5
# Determinants of matrices up to this size are differenced column by column, singular ones included.
BY_COLUMNS = 4


def transposed(xp: Any, a: Any) -> Any:
    """Return the matrices transposed."""
    return xp.swapaxes(a, -1, -2)


def solve_batch(xp: Any, a: Any, b: Any) -> Any:
    """a^-1 b, with one factorization where one a serves a batch of b."""
    if len(a.shape) > 2 or len(b.shape) <= 2:
        return xp.linalg.solve(a, b)
    rows, columns = b.shape[-2:]
    side_by_side = xp.moveaxis(b, -2, 0).reshape((rows, -1))
    return xp.moveaxis(xp.linalg.solve(a, side_by_side).reshape((rows, *b.shape[:-2], columns)), 0, -2)


def inverse(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """-(A + dA)^-1 dA A^-1."""
    (a,), (da,) = values, changes
    return -xp.linalg.solve(a + da, da @ out)


def solve(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """(A + dA)^-1 (db - dA x); one-dimensional b are vectors."""
    (a, b), (da, db) = values, changes
    vector = len(b.shape) == 1
    x = inserted(out) if vector else out
    if db is not None and vector:
        db = inserted(db)
    right = plus(None if da is None else -(da @ x), db)
    change = solve_batch(xp, a, right) if da is None else xp.linalg.solve(a + da, right)
    return change[..., 0] if vector else change


def solve_triangular(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Any, lower: bool = False, transpose: bool = False
) -> Any:
    """Return the same with the triangle of A that counts."""

    def triangle(a: Any) -> Any:
        part = xp.tril(a) if lower else xp.triu(a)
        return transposed(xp, part) if transpose else part

    (a, b), (da, db) = values, changes
    return solve(xp, (triangle(a), b), (None if da is None else triangle(da), db), out, branches)


def pivots(xp: Any, s: Any) -> Any:
    """Return what the pivots of 1 + S differ from one, by elimination without exchanging rows."""
    found = []
    for _ in range(s.shape[-1]):
        pivot = s[..., :1, :1]
        found.append(pivot[..., 0])
        s = s[..., 1:, 1:] - s[..., 1:, :1] * s[..., :1, 1:] / (1.0 + pivot)
    return xp.concatenate(found, axis=-1)


def log_determinant_change(xp: Any, a: Any, da: Any) -> Any:
    """log |det (A + dA) / det A|."""
    small = log_of_small_determinant(xp, as_seen(xp, a, da))
    return xp.linalg.slogdet(a + da)[1] - xp.linalg.slogdet(a)[1] if small is None else small


def as_seen(xp: Any, a: Any, da: Any) -> Any:
    """A^-1 dA, with one factorization where one A serves a batch of changes."""
    return xp.linalg.solve(a, da) if len(a.shape) > 2 else solve_batch(xp, a, da)


def log_of_small_determinant(xp: Any, s: Any) -> Any:
    """log det (1 + S): tr S - tr S^2 / 2 where S is tiny, by its pivots where it is small, None elsewhere."""
    reach = largest(xp, xp.sum(xp.abs(s), axis=-1))
    if reach <= TINY:
        return xp.sum(xp.diagonal(s, 0, -2, -1), axis=-1) - 0.5 * xp.sum(s * transposed(xp, s), axis=(-2, -1))
    return xp.sum(xp.log1p(pivots(xp, s)), axis=-1) if reach <= WITHOUT_PIVOTS else None


def slogdet(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> tuple[Any, Any]:
    """Return the sign's change and that of the logarithm of the determinant's magnitude."""
    (a,), (da,) = values, changes
    sign = xp.linalg.slogdet(a + da)[0] - out[0]
    if branches is not None:
        branches.note(sign != 0.0)
    return sign, log_determinant_change(xp, a, da)


def determinant(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """By columns for small matrices; out expm1(log of the ratio) for large ones with a small change."""
    (a,), (da,) = values, changes
    n = a.shape[-1]
    if n > BY_COLUMNS and bool(xp.all(out != 0.0)):
        small = log_of_small_determinant(xp, as_seen(xp, a, da))
        if small is not None:
            return out * xp.expm1(small)
    return determinant_by_columns(xp, a, da)


def determinant_by_columns(xp: Any, a: Any, da: Any) -> Any:
    """The determinant is linear in each column: sum over k of det (new columns, change of column k, old columns)."""
    new = a + da
    total = None
    old = xp.broadcast_to(a, new.shape)
    for k in range(a.shape[-1]):
        mixed = xp.concatenate((new[..., :k], da[..., k : k + 1], old[..., k + 1 :]), axis=-1)
        total = plus(total, xp.linalg.det(mixed))
    return total


def from_lower(xp: Any, a: Any) -> Any:
    """Return the symmetric matrix of which the lower triangle is given."""
    return xp.tril(a) + transposed(xp, xp.tril(a, -1))


def cholesky(xp: Any, values: Values, changes: Changes, out: Any, branches: Any, upper: bool = False) -> Any:
    """L (chol(1 + S) - 1), S = L^-1 dA L^-T."""
    (_,), (da,) = values, changes
    if upper:
        return transposed(xp, cholesky(xp, values, (transposed(xp, da),), transposed(xp, out), branches))
    half = solve_batch(xp, out, from_lower(xp, da))
    return out @ unit_cholesky(xp, solve_batch(xp, out, transposed(xp, half)))


def unit_cholesky(xp: Any, s: Any) -> Any:
    """Return the Cholesky factor of 1 + S, less one: C with C + C^T + C C^T = S.

    Where S is tiny that equation is put into itself; elsewhere C is had column by column, sqrt(1 + p) - 1 as
    p / (1 + sqrt(1 + p)).
    """
    n = s.shape[-1]
    if largest(xp, xp.sum(xp.abs(s), axis=-1)) <= TINY:
        half = 1.0 - 0.5 * identity(xp, n, s)
        c = xp.tril(s) * half
        return xp.tril(s - c @ transposed(xp, c)) * half
    columns = []
    for _ in range(n):
        pivot = s[..., :1, :1]
        root = xp.sqrt(1.0 + pivot)
        below = s[..., 1:, :1] / root
        columns.append(xp.concatenate((pivot / (1.0 + root), below), axis=-2))
        s = s[..., 1:, 1:] - below * transposed(xp, below)
    padded = [xp.concatenate((*([xp.zeros_like(c[..., :1, :])] * k), c), axis=-2) for k, c in enumerate(columns)]
    return xp.concatenate(padded, axis=-1)


def lu(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Both factors in one matrix, of A with its rows exchanged beforehand, which stays as it is: Gauss' elimination on
    values and changes, l of a row, then the rest less l u.
    """
    (a,), (da,) = values, changes
    found = []
    for _ in range(min(a.shape[-2:])):
        u, du = a[..., :1, :], da[..., :1, :]
        left = a[..., 1:, :1] / u[..., :1]
        d_left = (da[..., 1:, :1] - left * du[..., :1]) / (u[..., :1] + du[..., :1])
        found.append((du, d_left))
        da = da[..., 1:, 1:] - d_left * u[..., 1:] - (left + d_left) * du[..., 1:]
        a = a[..., 1:, 1:] - left * u[..., 1:]
    change = da
    for du, d_left in reversed(found):
        change = xp.concatenate((du, xp.concatenate((d_left, change), axis=-1)), axis=-2)
    return change


def qr(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> tuple[Any, Any]:
    """Return the changes of Q and R, of at least as many rows as columns, the signs of R's diagonal as they are.

    With E = dA R^-1 the new R is (1 + C)^T R, (1 + C)(1 + C)^T = (Q + E)^T (Q + E) = 1 + S, S = Q^T E + E^T Q + E^T E;
    and dQ = (E - Q C^T) (1 + C)^-T.
    """
    (_,), (da,), (q, r) = values, changes, out
    e = transposed(xp, solve_batch(xp, transposed(xp, r), transposed(xp, da)))
    cross = transposed(xp, q) @ e
    c = unit_cholesky(xp, cross + transposed(xp, cross) + transposed(xp, e) @ e)
    new = identity(xp, c.shape[-1], c) + c
    dq = transposed(xp, xp.linalg.solve(new, transposed(xp, e - q @ transposed(xp, c))))
    return dq, transposed(xp, c) @ r


def matrix_power(xp: Any, values: Values, changes: Changes, out: Any, branches: Any, n: int) -> Any:
    """From power to power: the change of A^k times the new A, and A^k times dA."""
    (a,), (da,) = values, changes
    if n < 0:
        da = inverse(xp, (a,), (da,), xp.linalg.inv(a), branches)
        a, n = xp.linalg.inv(a), -n
    if n == 0:
        return 0.0 * da
    power, change = a, da
    for _ in range(n - 1):
        change = change @ (a + da) + power @ da
        power = power @ a
    return change


def pseudoinverse(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """-B+ E A+ + (B^T B)+ E^T (1 - A A+) + (1 - B+ B) E^T (A A^T)+, B = A + E of the same rank (Wedin, 1973)."""
    (a,), (e,) = values, changes
    b = a + e
    new = xp.linalg.pinv(b)
    et = transposed(xp, e)
    left = new @ transposed(xp, new) @ et @ (identity(xp, a.shape[-2], a) - a @ out)
    right = (identity(xp, a.shape[-1], a) - new @ b) @ et @ transposed(xp, out) @ out
    return left + right - new @ e @ out


def matrix_exponential_change(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the corner of exp([[A + E, E], [0, A]]), for any function f of that matrix has f(A + E) - f(A) there."""
    (a,), (e,) = values, changes
    old = xp.broadcast_to(a, e.shape)
    upper = xp.concatenate((old + e, e), axis=-1)
    lower = xp.concatenate((xp.zeros_like(e), old), axis=-1)
    n = a.shape[-1]
    return matrix_exponential(xp, xp.concatenate((upper, lower), axis=-2))[..., :n, n:]


LINEAR_ALGEBRA: dict[str, Rule] = {
    "inv": Rule(inverse, elementwise=False, complex=True),
    "solve": Rule(solve, elementwise=False, complex=True),
    "solve_triangular": Rule(solve_triangular, elementwise=False, complex=True),
    "det": Rule(determinant, elementwise=False, complex=True),
    "slogdet": Rule(slogdet, elementwise=False),
    "cholesky": Rule(cholesky, elementwise=False),
    "lu": Rule(lu, elementwise=False, complex=True),
    "qr": Rule(qr, elementwise=False),
    "matrix_power": Rule(matrix_power, elementwise=False, complex=True),
    "expm": Rule(matrix_exponential_change, elementwise=False, complex=True),
    "pinv": Rule(pseudoinverse, elementwise=False),
}
