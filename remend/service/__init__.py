"""The running service: robots that are looked after, people who may decide, and what they ask for."""
