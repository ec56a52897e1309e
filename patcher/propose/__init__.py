"""Proposers: one file each, one protocol, all through the same door to simulation."""
