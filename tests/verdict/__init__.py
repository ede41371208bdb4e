"""Tests of fastcheck/verdict: what differences mean."""
