"""Tests of fastcheck/checks/watch: checks during training."""
