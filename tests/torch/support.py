"""Makers of inputs and of custom autograd Functions for the tests of PyTorch's door."""

import torch


def tensor(*shape, dtype=torch.float64):
    """Random normal numbers that require gradients."""
    return torch.randn(shape, dtype=dtype).requires_grad_()


def function(forward, backward, name="Custom", vmap=True):
    """A custom autograd.Function of any number of inputs: backward(g, *inputs) gives one gradient, or a tuple."""
    new = {"forward": staticmethod(lambda *given: forward(*given)),
           "setup_context": staticmethod(lambda ctx, given, out: ctx.save_for_backward(*given)),
           "generate_vmap_rule": True}
    old = {"forward": staticmethod(lambda ctx, *given: (ctx.save_for_backward(*given), forward(*given))[1])}
    body = {**(new if vmap else old), "backward": staticmethod(lambda ctx, *g: backward(*g, *ctx.saved_tensors))}
    return type(name, (torch.autograd.Function,), body).apply


def theirs(*args, **options):
    """torch's own answer, as a bool."""
    return torch.autograd.gradcheck(*args, raise_exception=False, **options)
