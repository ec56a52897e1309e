"""Tasks drawn from a seed: where a robot should be at every control tick."""
