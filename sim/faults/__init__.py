"""The fault catalogue: one module per way to degrade."""
