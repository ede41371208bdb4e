"""The checkers that the cases are held against, each used as its own documentation shows it."""

from collections.abc import Callable

from ..subjects import Subject, Version
from .answer import Answer
from .frameworks import fast_gradcheck, jax_check_grads, torch_gradcheck
from .ours import fastcheck
from .textbook import allclose, scipy_check_grad, textbook_loop

CHECKERS: dict[str, Callable[[Subject, Version], Answer]] = {
    "fastcheck": fastcheck,
    "textbook's loop": textbook_loop,
    "scipy check_grad": scipy_check_grad,
    "torch gradcheck": torch_gradcheck,
    "torch gradcheck, fast": fast_gradcheck,
    "jax check_grads": jax_check_grads,
    "allclose to a reference": allclose,
}
