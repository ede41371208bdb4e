"""Backward passes written by hand in NumPy."""
