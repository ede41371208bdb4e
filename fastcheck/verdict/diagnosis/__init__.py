"""What is probably wrong with a gradient that failed: one claim per mistake, silent where the numbers do not
prove it.
"""
