"""Functions of single numbers that are compiled into kernels, a file for each family; no tables, no engines."""
