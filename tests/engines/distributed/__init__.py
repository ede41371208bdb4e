"""Tests of fastcheck/engines/distributed: shards, workers and checkpoints."""
