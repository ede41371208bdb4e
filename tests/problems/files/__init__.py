"""Tests of fastcheck/problems/files: .npz and .mat files."""
