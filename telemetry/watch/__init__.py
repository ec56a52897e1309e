"""Residuals of robots: what each kind of robot keeps in balance while it is healthy."""
