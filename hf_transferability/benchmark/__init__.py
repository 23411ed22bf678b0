"""Ground truth: the published results and one's own, compared, explained, made and published."""
