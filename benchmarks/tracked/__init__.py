"""Benchmarks that run regularly; the gate judges those marked ``gate``."""
