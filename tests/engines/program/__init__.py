"""Tests of fastcheck/engines/program: exact differences of NumPy programs."""
