"""PyTorch's door: ``gradcheck`` and ``gradgradcheck`` in place of torch.autograd's, checks of modules and kernels."""

from torch.autograd.gradcheck import GradcheckError

from .checking import RandomFunctionError
from .distributed.check import check_distributed
from .gradients import gradcheck, gradgradcheck
from .kernel.check import check_kernel
from .modules import check_module

__all__ = [
    "GradcheckError", "RandomFunctionError", "check_distributed", "check_kernel", "check_module", "gradcheck",
    "gradgradcheck",
]
