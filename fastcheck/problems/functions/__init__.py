"""A user's cost: how it is called (Python, stacks, compiled, C, elsewhere), and whether it is a function at all."""
