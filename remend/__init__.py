"""Remend, a self-patching controller service for robots."""

__version__ = "0.1.0"
