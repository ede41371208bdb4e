"""Studies behind the figures of README.md: each module is a command of its own."""
