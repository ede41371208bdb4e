"""Custom kernels against a reference in plain PyTorch: what they compute, and what autograd may ask of them.

Modules and their losses belong into ``fastcheck.torch.modules``.
"""
