"""Tests of fastcheck/problems/parameters: names to theta and back, and samples of entries."""
