"""The machine: threads, memory, compilation, progress.  Nothing here knows what is checked."""
