"""Tests of fastcheck/problems/networks: layers, costs, back-propagation, and what a check will cost."""
