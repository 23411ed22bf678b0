"""A Hub id or a folder becomes a loaded network with its preprocessing, head and gradient layers."""
