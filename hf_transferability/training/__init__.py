"""Ground truth: source checkpoints are pre-trained and fine-tuned here."""
