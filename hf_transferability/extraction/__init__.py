"""Features, source probabilities and gradient norms of a network on a sample, and their cache."""
