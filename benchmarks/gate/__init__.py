"""The gate on time: runs the tracked benchmarks beside a frozen reference and holds ratios against a baseline."""
