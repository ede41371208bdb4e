"""Tests of fastcheck/engines/finite: stencils, noise, steps and directions."""
