"""Sub-pixel shifts by Cramer's rule, whose backward pass squares a small determinant in float16."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of
from benchmarks.gradbugs.subjects import TorchModule


def forward(x, scale):
    a, b = x[:, :1] * scale, x[:, 1:] * scale
    return (a - b) / (a * b)


def backward(upstream, x, scale, low):
    wide = x.dtype if low else torch.float64
    a, b = (x[:, :1] * scale).to(wide), (x[:, 1:] * scale).to(wide)
    d = upstream.to(wide)
    determinant, numerator = a * b, a - b
    da = d / determinant - d * numerator * b / determinant**2
    db = -d / determinant - d * numerator * a / determinant**2
    dscale = (da.double() * x[:, :1].double() + db.double() * x[:, 1:].double()).sum(0)
    dx = torch.cat([(da * scale.to(wide)).sum(1, keepdim=True), (db * scale.to(wide)).sum(1, keepdim=True)], 1)
    return dx.to(x.dtype), dscale.to(x.dtype)


right = custom(forward, lambda d, x, s: backward(d, x, s, False))
wrong = custom(forward, lambda d, x, s: backward(d, x, s, x.dtype == torch.float16))


def data():
    generator = torch.Generator().manual_seed(160)
    return (0.01 + 0.002 * torch.rand(12, 2, generator=generator)).half(), torch.zeros(12, 3).half()


def loss(output, targets):
    return (output.double() * 0.05).sum()


CASE = Case(
    source="kornia/kornia#4305",
    mistake="The gradient of a quotient divides by the square of a determinant of 1e-4, which float16 does not hold.",
    kind="overflow",
    precision="float16",
    wrong=("scale",),
    says=r"nan|inf|finite",
    third=4,
    subject=TorchModule(
        lambda version: module_of({"right": right, "wrong": wrong}[version], {"scale": (3,)}, "float16", seed=161),
        loss,
        data,
    ),
)
