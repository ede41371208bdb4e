"""The front doors: they validate what came in, run an engine, have it judged and report it."""
