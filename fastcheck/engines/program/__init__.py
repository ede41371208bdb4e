"""Exact differences of NumPy programs."""
