"""Exact differences of JAX functions: their jaxprs interpreted with the rules of ``fastcheck.rules``."""
