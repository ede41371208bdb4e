"""PyTorch functions as programs: a graph of ATen operators whose outputs' changes are found by ``fastcheck.rules``."""
