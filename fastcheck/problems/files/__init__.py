"""Parameters, gradients and data from files of other programs, read without running any code in them."""
