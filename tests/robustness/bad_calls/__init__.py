"""Every door with calls that cannot work: refused by name in one line, and nothing left behind."""
