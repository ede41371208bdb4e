"""Checks during training: one exact look now and then, within a budget of time."""
