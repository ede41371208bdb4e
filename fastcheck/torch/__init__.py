"""PyTorch's door: ``gradcheck`` and ``gradgradcheck`` in place of torch.autograd's, and ``check_module``."""

from torch.autograd.gradcheck import GradcheckError

from .checking import RandomFunctionError
from .gradients import gradcheck, gradgradcheck
from .modules import check_module

__all__ = ["GradcheckError", "RandomFunctionError", "check_module", "gradcheck", "gradgradcheck"]
