"""Tests of fastcheck/torch, PyTorch's door."""
