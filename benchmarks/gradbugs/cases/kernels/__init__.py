"""Fused operations and custom autograd functions of frameworks."""
