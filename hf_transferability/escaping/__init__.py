"""Text from datasets, repositories and error messages, made harmless for the format that it is written into: one module each."""
