"""Transferability metrics for `evaluate.load`; all of it is in the package hf-transferability."""

from hf_transferability.evaluate_module import Transferability

__all__ = ["Transferability"]
