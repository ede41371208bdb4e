"""Tests of fastcheck/engines/plain: the response engine in plain NumPy."""
