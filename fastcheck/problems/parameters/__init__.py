"""Names and shapes of parameters, and their places in the vector theta."""
