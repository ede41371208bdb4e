"""JAX's door: ``check_grads`` in place of jax.test_util's, and ``check`` for the gradient of a loss of pytrees."""

from .._validation import without

try:
    from .check import check
    from .gradients import check_grads
except ImportError as error:
    raise without("JAX", "jax", error) from None

__all__ = ["check", "check_grads"]
