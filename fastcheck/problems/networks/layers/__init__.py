"""One file a layer: its parameters, their shapes, what it computes."""
