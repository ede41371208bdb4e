"""What the differences mean: pass, fail or inconclusive, for every entry, tensor and the whole."""
