"""stub while building."""


def add(commands):
    """Add."""
