"""Ground truth: pre-training and fine-tuning of source checkpoints."""
