"""Exact differences: one entry per operation, for compiled kernels and for array namespaces.  No derivative rules."""
