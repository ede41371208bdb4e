"""PyTorch's door: ``gradcheck`` and ``gradgradcheck`` in place of torch.autograd's, checks of modules and kernels,
and ``Watch`` for training."""

from .._validation import without

try:
    from torch.autograd.gradcheck import GradcheckError
except ImportError as error:
    raise without("PyTorch", "torch", error) from None

from .checking import RandomFunctionError
from .distributed.check import check_distributed
from .gradients import gradcheck, gradgradcheck
from .kernel.check import check_kernel
from .modules import Watch, check_module

__all__ = [
    "GradcheckError", "RandomFunctionError", "Watch", "check_distributed", "check_kernel", "check_module",
    "gradcheck", "gradgradcheck",
]
