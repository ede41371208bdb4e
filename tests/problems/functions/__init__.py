"""Tests of fastcheck/problems/functions: users' costs in Python, Numba and C."""
