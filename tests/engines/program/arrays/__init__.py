"""Tests of the front end for NumPy: single functions, chains of them, views, and what people write."""
