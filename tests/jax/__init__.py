"""Tests of fastcheck/jax, JAX's door."""
