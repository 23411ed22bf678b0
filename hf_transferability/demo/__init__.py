"""A target and checkpoints made on the spot, and their ranking."""
