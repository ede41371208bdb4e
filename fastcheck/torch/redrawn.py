"""Random numbers that are the same in every precision: those of one run, given to others.

A generator in the same state gives other numbers in double precision than in single, but for dropout's: ``randn`` and
``rand`` consume it otherwise.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ._compat import forwarded

DRAWING = frozenset(f"aten::{name}" for name in (
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "bernoulli", "multinomial",
    "bernoulli_", "normal_", "uniform_", "exponential_", "geometric_", "log_normal_", "cauchy_", "random_",
))


class Drawn(TorchDispatchMode):
    """Keeps what operators draw.

    Attributes
    ----------
    values : copies of what each drew, in order.
    fused : an operator that used what it drew at once, which nobody else can be given; None where there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.values: list[torch.Tensor] = []
        self.fused: Any = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and keep what it drew."""
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **(kwargs or {}))
        before = _states()
        out = func(*args, **(kwargs or {}))
        if draws(func, out):
            self.values.append(out.detach().clone())
        elif any(not torch.equal(one, other) for one, other in zip(before, _states(), strict=True)):
            self.fused = func
        return out


class Redrawn(TorchDispatchMode):
    """Gives operators that draw the numbers that another run drew, in their own precision.

    Parameters
    ----------
    values : of the other run, in order; where they are used up, or of another shape, an operator keeps its own.
    """

    def __init__(self, values: list[torch.Tensor]) -> None:
        super().__init__()
        self._left = iter(values)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator; write over what it drew."""
        out = forwarded(func, args, kwargs or {})
        if draws(func, out):
            value = next(self._left, None)
            if value is not None and value.shape == out.shape:
                out.copy_(value)
        return out


def draws(operator: Any, out: Any) -> bool:
    """Tell whether an operator draws numbers, and nothing else: not those that use what they draw at once."""
    return operator._schema.name in DRAWING and isinstance(out, torch.Tensor)


def differ(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Tell whether two runs drew other numbers, but for their rounding."""
    if len(one) != len(other) or any(a.shape != b.shape for a, b in zip(one, other, strict=True)):
        return True
    return not all(torch.allclose(a.to(torch.float64), b.to(torch.float64), 1e-2, 1e-2)
                   for a, b in zip(one, other, strict=True))


def _states() -> list[torch.Tensor]:
    """Return the states of all generators."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]
