"""A ranking and short fine-tuning of its first candidates become one recommendation."""
