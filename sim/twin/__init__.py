"""The twin: a simulation fitted to this robot, and what it says about the cause of an incident."""
