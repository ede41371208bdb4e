"""Gradients as training loops put them together."""
