"""Mistakes that show, or hide, in less than double precision."""
