"""Training: the loops, what surrounds them, and the experiments that describe them."""
