"""The response engine in plain NumPy, for small checks: nothing to compile, and few calls."""
