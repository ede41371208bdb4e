"""Tests of benchmarks/gate: who is suspected, who runs again, what fails."""
