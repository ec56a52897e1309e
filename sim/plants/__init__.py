"""Kinds of robot: what their bodies are and how they move in one physics step."""
