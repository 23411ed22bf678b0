"""Text from datasets, repositories and error messages, made harmless for what it is written into: one module each."""
