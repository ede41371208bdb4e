"""Gradients of several workers after their all-reduce, held against one process that sees all samples.

How one module's gradients are checked belongs into ``fastcheck.torch.modules``.
"""
