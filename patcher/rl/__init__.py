"""Learned controllers: policies that were trained elsewhere, and residuals trained in the twin."""
