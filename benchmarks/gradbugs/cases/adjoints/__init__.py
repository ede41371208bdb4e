"""Adjoint codes of simulations and inverse problems."""
