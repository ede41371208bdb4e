"""JAX's door: ``check_grads`` in place of jax.test_util's, and ``check`` for the gradient of a loss of pytrees."""

from .check import check
from .gradients import check_grads

__all__ = ["check", "check_grads"]
