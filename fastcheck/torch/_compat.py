"""Private functions of torch that the checks call, in one place: there are no public names for them.

Raises
------
ImportError : where this version of torch lacks one of them.
"""

from importlib import import_module
from typing import Any

import torch

# The module: torch.autograd.gradcheck as an attribute is the function in it.
_theirs: Any = import_module("torch.autograd.gradcheck")
_USED = (
    "_check_inputs", "_check_outputs", "_differentiable_outputs", "_get_analytical_jacobian_forward_ad",
    "_real_and_imag_input", "_test_backward_mul_by_grad_output", "_test_batched_grad", "_test_batched_grad_forward_ad",
    "_test_undefined_backward_mode", "_test_undefined_forward_mode",
)
_missing = [name for name in _USED if not hasattr(_theirs, name)]
if _missing:
    raise ImportError(f"torch: expected a version from 2.6 on with torch.autograd.gradcheck.{_missing[0]}, got "
                      f"{torch.__version__}; install a version that fastcheck was tested with, such as torch==2.13.0")

DETACH, ALIAS = torch.ops.aten.detach.default, torch.ops.aten.alias.default
# (outputs, their gradients, retain_graph, create_graph, inputs, allow_unused, accumulate_grad): torch.autograd.grad
# without its checks of shapes.
run_backward = torch.autograd.graph._engine_run_backward
gradcheck = _theirs.gradcheck
check_inputs = _theirs._check_inputs
check_outputs = _theirs._check_outputs
differentiable_outputs = _theirs._differentiable_outputs
forward_jacobian = _theirs._get_analytical_jacobian_forward_ad
real_and_imaginary_input = _theirs._real_and_imag_input
test_backward_mul_by_grad_output = _theirs._test_backward_mul_by_grad_output
test_batched_grad = _theirs._test_batched_grad
test_batched_forward_grad = _theirs._test_batched_grad_forward_ad
test_undefined_backward = _theirs._test_undefined_backward_mode
test_undefined_forward = _theirs._test_undefined_forward_mode


def forwarded(func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operator on behalf of a dispatch mode.

    Autograd keeps outputs without their history by a detach() that nobody has asked for.  It is dispatched from above
    autograd's own layers (``TensorImpl::shallow_copy_and_detach``), which the next mode could not tell any more: it
    runs as an alias.
    """
    if func is DETACH and not asked_to_detach():
        with torch._C._AutoDispatchBelowAutograd():
            return ALIAS(*args, **kwargs)
    return func(*args, **kwargs)


def asked_to_detach() -> bool:
    """Tell of a detach() that is dispatched whether somebody has asked for it; see ``forwarded``."""
    return bool(torch._C._dispatch_tls_is_dispatch_key_excluded(torch._C.DispatchKey.ADInplaceOrView))
