"""Tests of fastcheck/cli: the command line."""
