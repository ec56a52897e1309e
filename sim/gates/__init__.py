"""Gates: what evidence must answer before a person is asked. NaN fails, and inconclusive never promotes."""
