"""Operators whose gradient is by design not that of what they compute.

Samples of Gamma, Beta and Dirichlet are differentiated as quantiles (implicit reparameterisation): how the sample moves
that has the same probability below it.  The operator is a rejection sampler, and what that gives with the same random
numbers moves otherwise.  Fake quantisation rounds, and hands gradients on as if it did not.  An embedding with a
``max_norm`` shortens rows in place before it looks them up, of which autograd sees nothing; one with
``scale_grad_by_freq`` divides gradients by how often a row is looked up.  Spectral normalisation in training updates
its singular vectors by each call, without a gradient.  Binary cross-entropy divides by p (1 - p), or by 1e-12 where
that is less.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.utils._python_dispatch import TorchDispatchMode

from ..verdict.outcome import Cause
from .calls import graph_of
from .case import Case
from .tensors import requires_gradient

aten = torch.ops.aten
BY_DESIGN = {
    Cause.SAMPLED: (aten._standard_gamma.default, aten._sample_dirichlet.default),
    Cause.STRAIGHT: (
        aten.fake_quantize_per_tensor_affine_cachemask.default,
        aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams.default,
        aten.fake_quantize_per_channel_affine_cachemask.default,
        aten._fake_quantize_learnable_per_tensor_affine.default,
        aten._fake_quantize_learnable_per_channel_affine.default, aten._fused_moving_avg_obs_fq_helper.default,
    ),
}


# Operators that look up rows of a table, whose fourth argument is whether gradients are divided by the counts.
LOOKING_UP = aten.embedding.default, aten._embedding_bag.default, aten._embedding_bag_forward_only.default
SHORTENING = aten.embedding_renorm_.default
# What it divides by at least.
CLAMPING, CLAMPED = aten.binary_cross_entropy.default, 1e-12
# They sum over alignments, and their gradient supposes that the classes' probabilities add up to one, to this share.
ALIGNING = tuple(operator for name, overload in (("_ctc_loss", "default"), ("_ctc_loss", "Tensor"),
                                                 ("_cudnn_ctc_loss", "default"), ("_cudnn_ctc_loss", "Tensor"))
                 if (operator := getattr(getattr(aten, name), overload, None)) is not None)
ADDED_UP = 0.05
# Rows are as long as they may be from this share on: those that were shortened before are so but for rounding.
AS_LONG = 1.0 - 1e-6


class _Given(TorchDispatchMode):
    """Keeps what such operators are given.

    Attributes
    ----------
    given : their arguments that autograd differentiates by, with the cause that each operator is one of.
    shortened : where tables lie in memory of which rows are shortened.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[Cause, torch.Tensor]] = []
        self.shortened: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator; keep what it is given."""
        if func == SHORTENING:
            table, rows, longest, norm = args
            if bool((table[rows].norm(norm, dim=-1) >= AS_LONG * longest).any()):
                self.shortened.add(_place(table))
        if func in LOOKING_UP and any(args[3:4]) and args[0].requires_grad:
            self.given.append((Cause.COUNTED, args[0]))
        if func == CLAMPING and args[0].requires_grad and _is_clamped(*args[:2]):
            self.given.append((Cause.CLAMPED, args[0]))
        for cause, operators in BY_DESIGN.items():
            if func in operators:
                self.given += [(cause, one) for one in args if requires_gradient(one)]
        return func(*args, **(kwargs or {}))


def other_by_design(case: Case) -> Iterator[tuple[Cause, list[str]]]:
    """Yield causes with the names of the parameters that act through such operators, by autograd's graph."""
    with _Given() as found:
        case.cost(case.plain, case.args, case.kwargs, case.targets)
    for cause in (*BY_DESIGN, Cause.COUNTED, Cause.CLAMPED):
        given = [one for its, one in found.given if its == cause]
        leaves = {id(getattr(node, "variable", None)) for one in given for node in graph_of(one)}
        leaves |= {id(one) for one in given}
        if names := [name for name, parameter in case.parameters.items() if id(parameter) in leaves]:
            yield cause, names
    if names := [name for name, parameter in case.parameters.items() if _place(parameter) in found.shortened]:
        yield Cause.SHORTENED, names
    iterated = set(_iterated(case.plain))
    if names := [name for name in case.parameters if name in iterated]:
        yield Cause.ITERATED, names


def _is_clamped(p: torch.Tensor, y: torch.Tensor) -> bool:
    """Tell whether any output that is not as it should be is that near 0 or 1."""
    p, y = p.detach().double(), y.detach().double()
    return bool(((p * (1.0 - p) < CLAMPED) & (p != y)).any())


class _Aligned(TorchDispatchMode):
    """Looks whether CTC is given logarithms of numbers that add up to one.

    Attributes
    ----------
    otherwise : whether some did not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.otherwise = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator; look at what it is given."""
        if func in ALIGNING:
            self.otherwise |= bool((args[0].detach().logsumexp(-1).abs() > ADDED_UP).any())
        return func(*args, **(kwargs or {}))


def of_no_probabilities(case: Case) -> str:
    """Return a sentence where CTC is given scores that are no logarithms of probabilities, as its gradient supposes."""
    with _Aligned() as found:
        case.cost(case.plain, case.args, case.kwargs, case.targets)
    return ("ctc_loss was given numbers that are no logarithms of probabilities: its gradient supposes that their "
            "exponentials add up to one. Hand it what log_softmax returns.") if found.otherwise else ""


def _iterated(module: nn.Module) -> Iterator[str]:
    """Yield the names of weights whose spectral norm is in training."""
    for name, part in module.named_modules():
        if isinstance(part, _SpectralNorm) and part.training:
            yield f"{name.rpartition('.')[0]}.original"
        for hook in part._forward_pre_hooks.values() if part.training else ():
            if isinstance(hook, SpectralNorm):
                yield f"{name}.{hook.name}_orig".removeprefix(".")


def _place(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
