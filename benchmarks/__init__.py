"""Benchmarks of fastcheck; README.md holds the figures and says how each was measured."""
