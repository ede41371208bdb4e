"""Tests of fastcheck/problems/networks/conventions: parameters as people call, nest and lay them out."""
