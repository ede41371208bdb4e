"""JAX's door: ``check_grads`` in place of jax.test_util's."""

from .gradients import check_grads

__all__ = ["check_grads"]
