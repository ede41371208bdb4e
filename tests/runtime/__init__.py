"""Tests of fastcheck/runtime: threads, compilation, progress, memory."""
