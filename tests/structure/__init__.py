"""Tests of the layout: what may import what, and that a new thing is added in one place."""
