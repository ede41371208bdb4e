"""GradBugs: mistakes of backward passes that really happened, and which checkers find them.

Each file in ``cases/`` is one mistake that was reported in public, reduced to a small program of our own in a right and
a wrong version.  ``python -m benchmarks.gradbugs`` holds them all against the checkers in ``checkers/`` and prints who
finds what.
"""
