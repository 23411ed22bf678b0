"""A small Hugging Face Hub on the loopback interface, for testing with the unmodified clients."""

from .server import LoopbackHub

__all__ = ["LoopbackHub"]
