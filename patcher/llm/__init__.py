"""A language model as a proposer: what it is told, what it may answer, and what it may cost."""
