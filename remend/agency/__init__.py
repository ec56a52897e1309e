"""What the service may do by itself, and what it has used of that: least agency."""
