"""Linear algebra: inverses, determinants, solutions, factors, eigenvalues and singular values."""

from typing import Any

import torch

from ..._errors import NoRule
from ...rules.base import plus
from ...rules.table import RULES
from .call import Call, Handler, matrix_product, ruled, zeros


def of_matrix(name: str) -> Handler:
    """A function of one square matrix with a rule; an error code beside it stands still."""

    def handler(call: Call) -> Any:
        call.only(0)
        if call.args[0].is_complex() and not RULES[name].complex:
            raise NoRule(f"{call.operator} of complex matrices")
        change = ruled(name, call.args[:1], call.changes[:1], call.out, call)
        return [change, *(None for _ in call.outputs[1:])]

    return handler


def determinant(call: Call) -> Any:
    """Return the determinant, and the factors that it comes from."""
    call.only(0)
    return [ruled("det", call.args[:1], call.changes[:1], call.out, call), *_factors(call, 1, may_turn=True)]


def slogdet(call: Call) -> Any:
    """Sign and logarithm of a determinant, and the factors that they come from."""
    call.only(0)
    change = RULES["slogdet"].change(torch, call.args[:1], call.changes[:1], tuple(call.outputs[:2]), call.branches)
    return [*change, *_factors(call, 2, may_turn=True)]


def lu_factors(call: Call) -> Any:
    """Return the factors of a matrix, and how rows were exchanged."""
    call.only(0)
    return _factors(call, 0)


def lu(call: Call) -> Any:
    """Return the exchange of rows, which stands still, and both factors."""
    call.only(0)
    rows = call.out
    packed = ruled("lu", (rows.mH @ call.args[0],), (rows.mH @ call.changes[0],), call.args[0], call)
    return [zeros(call, rows), *_apart(packed)]


def _apart(packed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the changes of L, whose diagonal stands still, and of U."""
    k = min(packed.shape[-2:])
    return packed[..., :k].tril(-1), packed[..., :k, :].triu()


def unpacked(call: Call) -> Any:
    """Return the exchange of rows, which stands still, and both factors, from the one matrix that they are kept in."""
    call.only(0)
    return [zeros(call, call.out), *_apart(call.changes[0])]


def _factors(call: Call, place: int, *, may_turn: bool = False) -> list[Any]:
    """Return the change of the factors among the outputs, where anything reads it; what is behind it stands still.

    may_turn : whether PyTorch factors the transpose of a real matrix whose rows lie in order in memory, as it does for
        determinants; which of them it was the values do not show where they are symmetric.
    """
    behind = [None for _ in call.outputs[place + 1 :]]
    if not call.read[place]:
        return [None, *behind]
    packed, pivots = call.outputs[place : place + 2]
    change = call.changes[0]
    if change is None:
        return [zeros(call, packed), *behind]
    rows, lower, upper = torch.lu_unpack(packed, pivots)
    a = call.args[0]
    if may_turn and a.is_contiguous() and not a.is_complex():
        a, change = a.mT, change.mT
    if not torch.allclose(rows @ lower @ upper, a):
        raise NoRule(f"the factors of {call.operator}, which are of another matrix")
    return [ruled("lu", (lower @ upper,), (rows.mT @ change,), packed, call), *behind]


def cholesky(call: Call) -> Any:
    """Return the lower factor, of the lower triangle, or the upper one, of the upper triangle, and an error code."""
    call.only(0)
    upper = bool(call.option(1, "upper", False))
    return [ruled("cholesky", call.args[:1], call.changes[:1], call.out, call, upper=upper), None]


def solve(call: Call) -> Any:
    """X of A X = B, for matrices B and for single vectors, and the factors that it comes from."""
    left, vectors = call.option(2, "left", True), call.args[1].ndim == call.args[0].ndim - 1
    values, changes = list(call.args[:2]), list(call.changes[:2])
    out = call.out
    if vectors:
        values[1], out = values[1][..., None], out[..., None]
        changes[1] = None if changes[1] is None else changes[1][..., None]
    change = _solved(call, values, changes, out, left=left)
    return [change[..., 0] if vectors else change, *_factors(call, 1)]


def least_squares(call: Call) -> Any:
    """Return the shortest of the x that bring A x closest to b, and the squares of what is left of b."""
    call.only(0, 1)
    (a, b), (da, db) = call.args[:2], call.changes[:2]
    vectors = b.ndim == a.ndim - 1
    if vectors:
        b, db = b[..., None], None if db is None else db[..., None]
    inverse = torch.linalg.pinv(a)
    moved = None if da is None else ruled("pinv", (a,), (da,), inverse, call)
    x, change = inverse @ b, matrix_product(inverse, b, moved, db)
    rest = zeros(call, call.outputs[1])
    if rest.numel():
        left, d_left = a @ x - b, plus(matrix_product(a, x, da, change), None if db is None else -db)
        rest = (d_left * (2.0 * left + d_left)).sum(-2)
    return [change[..., 0] if vectors else change, rest, None, zeros(call, call.outputs[3])]


def solve_triangular(call: Call) -> Any:
    """X of A X = B where only a triangle of A counts, and for a unit triangle not its diagonal."""
    upper, unit = call.kwargs["upper"], call.kwargs.get("unitriangular", False)
    (a, b), (da, db) = call.args[:2], call.changes[:2]

    def triangle(matrix: torch.Tensor) -> torch.Tensor:
        return matrix.triu(int(unit)) if upper else matrix.tril(-int(unit))

    full = triangle(a) + torch.eye(a.shape[-1], dtype=a.dtype, device=a.device) if unit else triangle(a)
    changes = [None if da is None else triangle(da), db]
    return _solved(call, [full, b], changes, call.out, left=call.kwargs.get("left", True))


def cholesky_solve(call: Call) -> Any:
    """X of L L^T X = B, or U^T U X = B: of two triangular systems."""
    (b, factor), (db, moved) = call.args[:2], call.changes[:2]
    if call.option(2, "upper", False):
        factor, moved = factor.mH, None if moved is None else moved.mH
    factor, moved = torch.tril(factor), None if moved is None else torch.tril(moved)
    middle = torch.linalg.solve_triangular(factor, b, upper=False)
    d_middle = ruled("solve", (factor, b), (moved, db), middle, call)
    values, changes = (factor.mH, middle), (None if moved is None else moved.mH, d_middle)
    return ruled("solve", values, changes, call.out, call)


def _solved(call: Call, values: list[Any], changes: list[Any], out: Any, *, left: bool) -> Any:
    """Return the change of X in A X = B, or in X A = B."""
    if not left:
        values, out = [v.mT for v in values], out.mT
        changes = [None if d is None else d.mT for d in changes]
    change = ruled("solve", values, changes, out, call)
    return change if left else change.mT


def eigenvalues(call: Call) -> Any:
    """Eigenvalues of a symmetric matrix, of which a triangle counts, and its eigenvectors."""
    call.only(0)
    a, da = call.args[0], call.changes[0]
    if a.is_complex():
        raise NoRule("eigenvalues of complex matrices")
    if call.option(1, "UPLO", "L") == "U":
        a, da = a.mT, da.mT
    if not call.option(2, "compute_v", True):
        return [ruled("eigvalsh", (a,), (da,), call.out, call), None]
    return list(RULES["eigh"].change(torch, (a,), (da,), tuple(call.outputs), call.branches))


def singular_values(call: Call) -> Any:
    """Return the singular vectors and values of a matrix."""
    call.only(0)
    a = call.args[0]
    if a.is_complex():
        raise NoRule("singular values of complex matrices")
    if not call.option(2, "compute_uv", True):
        return [None, ruled("svdvals", call.args[:1], call.changes[:1], call.outputs[1], call), None]
    if call.option(1, "full_matrices", False) and a.shape[-1] != a.shape[-2]:
        raise NoRule("singular vectors of a space that a matrix leaves out", "use full_matrices=False")
    return list(RULES["svd"].change(torch, call.args[:1], call.changes[:1], tuple(call.outputs), call.branches))


def qr(call: Call) -> Any:
    """Return an orthogonal and a triangular factor; of a wide matrix those of its first columns."""
    call.only(0)
    (a,), (da,), (q, r) = call.args[:1], call.changes[:1], call.outputs
    mode, rows = call.option(1, "mode", "reduced"), a.shape[-2]
    if a.is_complex() or mode == "r" or (mode == "complete" and rows > a.shape[-1]):
        raise NoRule("QR factors of complex matrices, or of more columns than the matrix has, or R alone",
                     "use mode='reduced'")
    first = RULES["qr"].change(torch, (a[..., :rows],), (da[..., :rows],), (q, r[..., :rows]), call.branches)
    if rows >= a.shape[-1]:
        return list(first)
    others = matrix_product(q.mT, a[..., rows:], first[0].mT, da[..., rows:])
    return [first[0], torch.cat((first[1], others), -1)]
