"""Operators by smaller ones, where PyTorch has no decomposition of its own."""

import math
from typing import Any

import torch

from .grids import grid_sampler_3d

aten = torch.ops.aten


def distances_backward(
    g: torch.Tensor, x: torch.Tensor, y: torch.Tensor, p: float, found: torch.Tensor
) -> torch.Tensor:
    """Return the gradient by x of distances: rows that coincide have none."""
    apart = x.unsqueeze(-2) - y.unsqueeze(-3)
    share = apart.sign() if p == 1.0 else apart * apart.abs() ** (p - 2.0) if p != 2.0 else apart
    size = found.unsqueeze(-1) ** (p - 1.0)
    return (g.unsqueeze(-1) * torch.where(size == 0.0, 0.0, share / size)).sum(-2)


def distances_in_pairs_backward(g: torch.Tensor, x: torch.Tensor, p: float, found: torch.Tensor) -> torch.Tensor:
    """Return the gradient by x of the distances of its rows from all those after it."""
    one, other = torch.triu_indices(len(x), len(x), 1, device=x.device)
    parts = distances_backward(g[:, None, None], x[one, None], x[other, None], p, found[:, None, None])
    return torch.zeros_like(x).index_add(0, one, parts[:, 0]).index_add(0, other, -parts[:, 0])


def selected(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the entries where a mask is true."""
    x, mask = torch.broadcast_tensors(x, mask)
    return x[mask]


def shrunk_backward(g: torch.Tensor, x: torch.Tensor, width: float) -> torch.Tensor:
    """Return the gradient of what is zero where |x| <= width."""
    return torch.where((x >= -width) & (x <= width), 0.0, g)


def pooled_backward(axes: int) -> Any:
    """Return the gradient of the largest of each window to the place that it came from."""

    def backward(g: torch.Tensor, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        places = rest[-1].flatten(-axes)
        return torch.zeros_like(x).flatten(-axes).scatter_add(-1, places, g.flatten(-axes)).reshape(x.shape)

    return backward


def lu_solve(
    packed: torch.Tensor, pivots: torch.Tensor, b: torch.Tensor, *, left: bool = True, adjoint: bool = False
) -> torch.Tensor:
    """X of A X = B, from the factors of A, by its triangles; or of A^H X = B, or of X A = B."""
    if not left:
        return lu_solve(packed, pivots, b.mH, adjoint=not adjoint).mH
    rows, lower, upper = torch.lu_unpack(packed, pivots)
    if not adjoint:
        half = torch.linalg.solve_triangular(lower, rows.mT @ b, upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(upper, half, upper=True)
    half = torch.linalg.solve_triangular(upper.mH, b, upper=False)
    return rows @ torch.linalg.solve_triangular(lower.mH, half, upper=True, unitriangular=True)


def householder_product(a: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
    """Return the first columns of a product of reflections, whose vectors stand below the diagonal."""
    vectors = a.tril(-1) + torch.eye(*a.shape[-2:], dtype=a.dtype, device=a.device)
    found = torch.eye(*a.shape[-2:], dtype=a.dtype, device=a.device).expand(a.shape)
    for k in reversed(range(tau.shape[-1])):
        vector = vectors[..., k : k + 1]
        found = found - tau[..., k : k + 1, None] * (vector @ (vector.mH @ found))
    return found


def multilabel_margins(x: torch.Tensor, labels: torch.Tensor, reduction: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far labels fail to stand a margin above all that are none, and which entries are labels.

    A row's labels end before its first -1.
    """
    rows, given = torch.atleast_2d(x), torch.atleast_2d(labels)
    count = rows.shape[-1]
    there = (given >= 0).cumprod(-1).bool()
    places = torch.where(there, given, 0)
    named = torch.zeros_like(given).scatter_add(-1, places, there.to(given.dtype)) > 0
    margins = torch.relu(1.0 - rows.gather(-1, places)[..., None] + rows[..., None, :])
    losses = torch.where(there[..., None] & ~named[..., None, :], margins, 0.0).sum((-2, -1)) / count
    losses = losses if reduction == 0 and x.ndim > 1 else losses.sum() / (len(rows) if reduction == 1 else 1.0)
    return losses, named.to(x.dtype).reshape(labels.shape)


def convolution_in_time(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, pad: int = 0) -> torch.Tensor:
    """Return a convolution along the first axis, of samples along the second."""
    return torch.conv1d(x.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)


def rotated(
    a: torch.Tensor, tau: torch.Tensor, other: torch.Tensor, left: bool = True, transpose: bool = False
) -> torch.Tensor:
    """Return Q C, Q^H C, C Q or C Q^H, Q being a product of reflections whose vectors stand below the diagonal."""
    if not left:
        return rotated(a, tau, other.mH, True, not transpose).mH
    vectors = a.tril(-1) + torch.eye(*a.shape[-2:], dtype=a.dtype, device=a.device)
    for k in range(tau.shape[-1]) if transpose else reversed(range(tau.shape[-1])):
        vector, share = vectors[..., k : k + 1], tau[..., k : k + 1, None]
        other = other - (share.conj() if transpose else share) * (vector @ (vector.mH @ other))
    return other


def inverse_of_product(factor: torch.Tensor, upper: bool = False) -> torch.Tensor:
    """Return the inverse of L L^H, or of U^H U."""
    return torch.cholesky_solve(torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device), factor, upper)


def solved_by_triangle(
    b: torch.Tensor, a: torch.Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return X of A X = B, or of A^T X = B, for a triangular A, and A."""
    given = a.mT if transpose else a
    return torch.linalg.solve_triangular(given, b, upper=upper != transpose, unitriangular=unitriangular), a.clone()


def linear_cross_entropy(
    x: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, bias: torch.Tensor | None, shares: torch.Tensor | None,
    reduction: str, ignored: int, *_: Any,
) -> tuple[torch.Tensor, ...]:
    """Return the cross entropy of a linear layer's output; in place of the gradients beside it, nothing is known."""
    scores = torch.log_softmax(x @ weight.mT if bias is None else x @ weight.mT + bias, -1)
    number = ("none", "mean", "sum").index(reduction)
    loss = aten.nll_loss_forward.default(scores, labels, shares, number, ignored)[0]
    return loss, *(torch.full_like(v, math.nan) for v in (x, weight, x[:0] if bias is None else bias))


def linear_cross_entropies(
    x: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, bias: torch.Tensor | None, shares: torch.Tensor | None,
    ignored: int, *_: Any,
) -> torch.Tensor:
    """Return the same for each sample."""
    return linear_cross_entropy(x, weight, labels, bias, shares, "none", ignored)[0]


SMALLER: dict[Any, Any] = {
    aten._cdist_backward.default: distances_backward,
    aten._pdist_backward.default: distances_in_pairs_backward,
    aten.masked_select.default: selected,
    aten.addbmm.default: lambda c, a, b, *, beta=1, alpha=1: beta * c + alpha * (a @ b).sum(0),
    aten.special_i0e.default: lambda x: torch.i0(x) * torch.exp(-x.abs()),
    aten.special_i1e.default: lambda x: torch.special.i1(x) * torch.exp(-x.abs()),
    aten.linalg_lu_solve.default: lu_solve, aten.linalg_householder_product.default: householder_product,
    aten.multilabel_margin_loss_forward.default: multilabel_margins, aten.conv_tbc.default: convolution_in_time,
    aten.grid_sampler_3d.default: grid_sampler_3d, aten.ormqr.default: rotated,
    aten.cholesky.default: lambda a, upper=False: torch.linalg.cholesky(a, upper=upper),
    aten.cholesky_inverse.default: inverse_of_product, aten.triangular_solve.default: solved_by_triangle,
    aten.softshrink_backward.default: shrunk_backward, aten.hardshrink_backward.default: shrunk_backward,
    aten.max_pool3d_with_indices_backward.default: pooled_backward(3),
    aten.adaptive_max_pool2d_backward.default: pooled_backward(2),
    aten.adaptive_max_pool3d_backward.default: pooled_backward(3),
}
# By name: PyTorch makes these operators when they are first needed.
MADE_LATER: dict[str, Any] = {
    "torch_nn::_linear_cross_entropy_batch_chunked": linear_cross_entropy,
    "torch_nn::_linear_cross_entropy_batch_chunked_no_reduction": linear_cross_entropies,
}


def smaller(operator: Any) -> Any:
    """Return the function that does what an operator does; None where there is none here."""
    return SMALLER.get(operator) or MADE_LATER.get(operator.name())
