"""A dataset becomes a seeded sample of decoded images and class codes."""
