"""How other people call and lay out the parameters of a network, read into W1, b1, W2, ... and back."""
