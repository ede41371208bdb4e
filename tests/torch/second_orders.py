"""Functions whose gradients are differenced in turn: what losses with gradients in them are made of."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

Function = tuple[Callable[..., torch.Tensor], tuple[tuple[int, ...], ...]]


def spread(a):
    """A matrix far from singular."""
    return a + 4.0 * torch.eye(a.shape[-1]).double()


def positive(a):
    """A symmetric matrix with eigenvalues apart."""
    return a @ a.mT + torch.diag(torch.arange(1.0, 1.0 + len(a)).double())


FIXED = torch.tensor([[0, 1, 2], [2, 0, 1]])
LAYERS: dict[str, Function] = {
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, padding=1), ((2, 3, 8), (4, 3, 3), (4,))),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1, stride=2), ((2, 3, 6, 6), (4, 3, 3, 3), (4,))),
    "conv2d, frozen kernel": (lambda x: F.conv2d(x, torch.ones(2, 3, 3, 3).double()), ((2, 3, 5, 5),)),
    "conv3d": (lambda x, w: F.conv3d(x, w), ((1, 2, 4, 4, 4), (2, 2, 2, 2, 2))),
    "transposed": (lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2), ((2, 3, 4, 4), (3, 4, 3, 3), (4,))),
    "groups": (lambda x, w: F.conv2d(x, w, groups=2), ((2, 4, 5, 5), (6, 2, 3, 3))),
    "layer norm": (lambda x, w, b: F.layer_norm(x, (5,), w, b), ((3, 5), (5,), (5,))),
    "layer norm, weights alone": (lambda w, b: F.layer_norm(torch.arange(15.0).double().view(3, 5).sin(), (5,), w, b),
                                  ((5,), (5,))),
    "group norm": (lambda x, w, b: F.group_norm(x, 2, w, b), ((3, 4, 5), (4,), (4,))),
    "batch norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), ((6, 4), (4,), (4,))),
    "batch norm, evaluated": (lambda x, w, b: F.batch_norm(x, torch.zeros(4).double(), torch.ones(4).double(), w, b),
                              ((6, 4), (4,), (4,))),
    "instance norm": (F.instance_norm, ((2, 3, 6),)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), ((2, 3, 6, 6),)),
    "max_pool3d": (lambda x: F.max_pool3d(x, 2), ((1, 2, 4, 4, 4),)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 2), ((2, 3, 8),)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), ((2, 3, 6, 6),)),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), ((1, 2, 4, 4, 4),)),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 3), ((2, 3, 7, 7),)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, 3), ((2, 3, 7, 7),)),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"), ((1, 2, 4, 4),)),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"), ((1, 2, 4, 4),)),
    "bicubic": (lambda x: F.interpolate(x, scale_factor=2.0, mode="bicubic"), ((1, 2, 4, 4),)),
    "replication": (lambda x: F.pad(x, (1, 1), mode="replicate"), ((1, 2, 4),)),
    "reflection": (lambda x: F.pad(x, (1, 1), mode="reflect"), ((1, 2, 4),)),
    "logsigmoid": (F.logsigmoid, ((3, 5),)),
    "softshrink": (F.softshrink, ((3, 5),)),
    "hardshrink": (F.hardshrink, ((3, 5),)),
    "attention": (F.scaled_dot_product_attention, ((2, 3, 4), (2, 3, 4), (2, 3, 4))),
    "det": (lambda a: torch.linalg.det(spread(a)), ((3, 3),)),
    "slogdet": (lambda a: torch.linalg.slogdet(spread(a).mT)[1], ((3, 3),)),
    "solve": (lambda a, b: torch.linalg.solve(spread(a), b), ((3, 3), (3, 2))),
    "solve from the right": (lambda a, b: torch.linalg.solve(spread(a), b, left=False), ((3, 3), (2, 3))),
    "solve, frozen matrix": (lambda b: torch.linalg.solve(spread(torch.ones(3, 3).double()), b), ((3, 2),)),
    "inverse": (lambda a: torch.linalg.inv(spread(a)), ((3, 3),)),
    "cholesky": (lambda a: torch.linalg.cholesky(positive(a)), ((3, 3),)),
    "triangular": (lambda a, b: torch.linalg.solve_triangular(spread(a), b, upper=True), ((3, 3), (3, 2))),
    "unit triangular": (lambda a, b: torch.linalg.solve_triangular(a, b, upper=False, unitriangular=True),
                        ((3, 3), (3, 2))),
    "lu_factor": (lambda a: torch.linalg.lu_factor(spread(a))[0], ((3, 3),)),
    "lu_solve": (lambda a, b: torch.linalg.lu_solve(*torch.linalg.lu_factor(spread(a)), b, adjoint=True),
                 ((3, 3), (3, 2))),
    "qr": (lambda a: torch.linalg.qr(a)[0] @ torch.linalg.qr(a)[1].sin(), ((4, 3),)),
    "eigh": (lambda a: torch.linalg.eigh(positive(a))[0] + torch.linalg.eigh(positive(a), UPLO="U")[1] ** 2, ((3, 3),)),
    "svd": (lambda a: torch.linalg.svd(a, full_matrices=False)[0] ** 2, ((4, 3),)),
    "matrix_exp": (torch.linalg.matrix_exp, ((3, 3),)),
    "fft": (lambda x: torch.fft.fft(x).abs(), ((5,),)),
    "stft": (lambda x: torch.stft(x, 8, return_complex=True).abs(), ((24,),)),
}
# Those that PyTorch differentiates once only, or inexactly.
ONCE: dict[str, Function] = {
    "cdist": (torch.cdist, ((3, 4), (2, 4))),
    "cdist, p = 3": (lambda x, y: torch.cdist(x, y, 3.0), ((3, 4), (2, 4))),
    "cdist, p = 1": (lambda x, y: torch.cdist(x, y, 1.0), ((3, 4), (2, 4))),
    "pdist": (F.pdist, ((4, 3),)),
    "logcumsumexp": (lambda x: x.logcumsumexp(1), ((3, 4),)),
    "grid_sample": (lambda x, g: F.grid_sample(x, 0.3 * g, align_corners=False), ((1, 2, 4, 4), (1, 3, 3, 2))),
    "eigvalsh": (lambda a: torch.linalg.eigvalsh(positive(a)), ((3, 3),)),
    "svdvals": (torch.linalg.svdvals, ((3, 4),)),
    "special functions": (lambda x: x.tanh().erfinv() + torch.special.ndtri(x.sigmoid()) + torch.special.i0(x)
                          + torch.special.i1(x), ((4,),)),
    "entries by places that move": (lambda x: x[(x.sum(1) * 0.0).long() + FIXED[:, :1]] * x[0], ((3, 4),)),
    "variance and mean": (lambda x: torch.cat(torch.var_mean(x, 1)) + torch.cat(torch.std_mean(x, 1)), ((3, 4),)),
    "a norm written by hand": (lambda x: (x - torch.var_mean(x, 1, keepdim=True)[1])
                               / torch.var_mean(x, 1, keepdim=True, correction=0)[0].sqrt(), ((3, 4),)),
    "complex and back": (lambda x: torch.fft.ifft2(x).angle() + torch.fft.fftn(x.to(torch.complex128)).real, ((3, 4),)),
    "masked": (lambda x, y: x.masked_select(FIXED > 0).sum() + x.masked_scatter(FIXED > 0, y.flatten()),
               ((2, 3), (2, 3))),
    "scattered, largest": (lambda x, y: x.scatter_reduce(0, FIXED, y, "amax"), ((3, 3), (2, 3))),
    "scattered, smallest of those sent": (lambda x, y: x.scatter_reduce(1, FIXED, y, "amin", include_self=False),
                                          ((2, 4), (2, 3))),
    "scattered, products": (lambda x, y: x.scatter_reduce(0, FIXED, y, "prod"), ((3, 3), (2, 3))),
    "scattered, means": (lambda x, y: x.scatter_reduce(0, FIXED, y, "mean"), ((3, 3), (2, 3))),
    "rows reduced": (lambda x, y: x.index_reduce(0, FIXED[0], y, "amax").index_reduce(1, FIXED[1], y, "prod"),
                     ((3, 3), (3, 3))),
    "pinv and lu": (lambda a: torch.linalg.pinv(a) + torch.linalg.lu(a)[1].mT @ torch.linalg.lu(a)[0].mT, ((4, 3),)),
    "scaled Bessel functions": (lambda x: torch.special.i0e(x) + torch.special.i1e(x), ((4,),)),
    "turned in place": (lambda x: (x * 1.0).transpose_(0, 1).unsqueeze_(0).squeeze_().cumsum(0), ((3, 4),)),
}
