"""Differences by subtraction, for any cost: stencils, measured noise, steps, difference tables."""
