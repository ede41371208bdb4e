"""Tests of fastcheck; README.md says what each folder holds and how far the results reach."""
