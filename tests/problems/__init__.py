"""Tests of fastcheck/problems: what is checked."""
