"""The response engine in plain NumPy."""
