"""Samples whose gradient is not that of the operator that draws them: implicit reparameterisation.

PyTorch differentiates samples of Gamma, Beta and Dirichlet as quantiles: how the sample moves that has the same
probability below it.  The operator is a rejection sampler, and what that gives with the same random numbers moves
otherwise.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .calls import graph_of
from .case import Case

SAMPLERS = (torch.ops.aten._standard_gamma.default, torch.ops.aten._sample_dirichlet.default)


class _Sampled(TorchDispatchMode):
    """Keeps what such samplers are given.

    Attributes
    ----------
    given : their arguments that autograd differentiates by.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: list[torch.Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator; keep what a sampler is given."""
        if func in SAMPLERS and args[0].requires_grad:
            self.given.append(args[0])
        return func(*args, **(kwargs or {}))


def parameters_of_samplers(case: Case) -> list[str]:
    """Return the names of the parameters that such samples depend on, by autograd's graph."""
    with _Sampled() as sampled:
        case.cost(case.plain, case.args, case.kwargs, case.targets)
    leaves = {id(getattr(node, "variable", None)) for given in sampled.given for node in graph_of(given)}
    leaves |= {id(given) for given in sampled.given}
    return [name for name, parameter in case.parameters.items() if id(parameter) in leaves]
