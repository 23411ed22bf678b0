"""Arrays of a pool of candidates become a ranking."""
