"""Tests of fastcheck/checks: the front doors."""
