"""What is checked: parameters, networks, functions, files, and the two gradients that are compared."""
