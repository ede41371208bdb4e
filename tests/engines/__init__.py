"""Tests of fastcheck/engines: how costs are differenced."""
