"""Which checkpoints there are: a bundled catalogue, the Hub's own list, filters for both, and pools of candidates by name."""
